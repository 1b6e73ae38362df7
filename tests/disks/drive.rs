//! Fills a disk, deletes half, writes a quarter, again and again, and holds the store to what it promised.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ossicle::{Bucket, DeleteOptions, Durability, Error, ErrorKind, PutOptions, StorageClass, Store};

/// How long the maintenance thread may take to bring room back.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long bodies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixture {
    /// 50 bytes to 4 kB.
    Small,
    /// 70 percent 2 to 60 kB, 30 percent 0.3 to 1.3 MB.
    Mixed,
    /// 0.1 to 4 MB.
    Large,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub mixture: Mixture,
    /// Bodies are so many times shorter, for very small disks.
    pub shrunk: u64,
    pub background: bool,
    /// Whether bodies go to a colder class, which may lie elsewhere.
    pub cold: bool,
    pub rounds: u32,
    pub seed: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub puts: u64,
    pub deletes: u64,
    /// Bytes of bodies when it was full for the first time, and the fewest later on.
    pub first: u64,
    pub least: u64,
    /// The longest time that a delete took, and that maintenance took to bring room back.
    pub slowest: Duration,
    pub relief: Duration,
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

/// A body that cannot be compressed, the same for the same seed.
fn body(seed: u64, len: u64) -> Vec<u8> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut bytes = Vec::with_capacity(len as usize + 8);
    while (bytes.len() as u64) < len {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    bytes.truncate(len as usize);
    bytes
}

struct Driver<'a> {
    plan: Plan,
    open: &'a dyn Fn() -> ossicle::Result<Store>,
    store: Option<Store>,
    dice: Dice,
    /// What is there: the number of each object, and its length.
    live: BTreeMap<u64, u64>,
    next: u64,
    report: Report,
}

fn told(doing: impl std::fmt::Display) -> impl FnOnce(Error) -> String {
    move |error| format!("{doing}: {error}")
}

fn key(number: u64) -> String {
    // Neighbours in time are no neighbours in the index.
    format!("{:04x}/{number}", number.wrapping_mul(0x9E37_79B9) & 0xFFFF)
}

/// Carries the plan out on the store that `open` opens.
pub fn run(plan: Plan, open: &dyn Fn() -> ossicle::Result<Store>) -> Result<Report, String> {
    let store = Some(open().map_err(told("opening"))?);
    let mut driver = Driver {
        plan,
        open,
        store,
        dice: Dice(plan.seed | 1),
        live: BTreeMap::new(),
        next: 0,
        report: Report { least: u64::MAX, ..Report::default() },
    };
    driver.store().create_bucket("disk").map_err(told("making the bucket"))?;
    for round in 0..plan.rounds {
        driver.round(round).map_err(|why| format!("round {round}: {why}"))?;
    }
    driver.look(1)?;
    let found = driver.store().verify().map_err(told("verifying"))?;
    if !found.is_clean() {
        return Err(format!("verify: {found:?}"));
    }
    Ok(driver.report)
}

impl Driver<'_> {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    fn bucket(&self) -> Result<Bucket, String> {
        self.store().bucket("disk").map_err(told("finding the bucket"))
    }

    fn round(&mut self, round: u32) -> Result<(), String> {
        self.fill()?;
        self.reopen(round)?;
        self.delete_half(round)?;
        if round % 3 == 1 {
            self.reopen(round)?;
        }
        let begun = Instant::now();
        self.make_room()?;
        let quarter = self.report.first / 4;
        self.write(quarter)?;
        self.report.relief = self.report.relief.max(begun.elapsed());
        self.reopen(round + 1)?;
        self.look(97)
    }

    fn length(&mut self) -> u64 {
        let dice = &mut self.dice;
        let len = match self.plan.mixture {
            Mixture::Small => dice.between(50, 4000),
            Mixture::Mixed if dice.between(1, 10) > 7 => dice.between(300_000, 1_300_000),
            Mixture::Mixed => dice.between(2000, 60_000),
            Mixture::Large => dice.between(100_000, 4_000_000),
        };
        (len / self.plan.shrunk).max(1)
    }

    fn put(&mut self, bucket: &Bucket, len: u64) -> ossicle::Result<()> {
        let number = self.next;
        self.next += 1;
        let mut options = PutOptions::new();
        if !number.is_multiple_of(8) {
            options = options.durability(Durability::Buffered);
        }
        if self.plan.cold {
            options = options.storage_class(StorageClass::InfrequentAccess);
        }
        bucket.put_with(&key(number), body(number, len), options)?;
        self.live.insert(number, len);
        self.report.puts += 1;
        Ok(())
    }

    /// Puts until the disk is full.
    fn fill(&mut self) -> Result<(), String> {
        let bucket = self.bucket()?;
        loop {
            let len = self.length();
            match self.put(&bucket, len) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Quota && !error.is_fatal() => break,
                Err(error) => return Err(format!("filling: {error}")),
            }
        }
        let bytes = self.live.values().sum();
        if self.report.first == 0 {
            self.report.first = bytes;
        }
        self.report.least = self.report.least.min(bytes);
        Ok(())
    }

    fn delete_half(&mut self, round: u32) -> Result<(), String> {
        let bucket = self.bucket()?;
        let numbers: Vec<u64> = self.live.keys().copied().collect();
        for (place, number) in
            numbers.into_iter().enumerate().filter(|(place, _)| place % 2 == round as usize % 2)
        {
            let begun = Instant::now();
            let durability = if place % 4 < 2 { Durability::Synced } else { Durability::Buffered };
            bucket
                .delete_with(&key(number), DeleteOptions::new().durability(durability))
                .map_err(told(format!("delete {} of {}", self.report.deletes, self.live.len())))?;
            self.report.slowest = self.report.slowest.max(begun.elapsed());
            self.report.deletes += 1;
            self.live.remove(&number);
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), String> {
        if self.plan.background {
            return Ok(());
        }
        for _ in 0..4 {
            self.store().maintain(Duration::from_secs(60)).map_err(told("maintaining"))?;
        }
        Ok(())
    }

    /// Writes so many bytes, which must go in; with the maintenance thread, after a while.
    fn write(&mut self, bytes: u64) -> Result<(), String> {
        let bucket = self.bucket()?;
        let begun = Instant::now();
        let mut written = 0;
        while written < bytes {
            let len = self.length().min(bytes - written);
            match self.put(&bucket, len) {
                Ok(()) => written += len,
                Err(error)
                    if error.kind() == ErrorKind::Quota
                        && self.plan.background
                        && begun.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(format!("writing {written} of {bytes}: {error}")),
            }
        }
        Ok(())
    }

    /// Closes the store, in peace or by dropping it, and opens it again.
    fn reopen(&mut self, round: u32) -> Result<(), String> {
        let store = self.store.take().expect("it is open");
        if round.is_multiple_of(2) {
            store.close().map_err(told("closing"))?;
        }
        drop(store);
        self.store = Some((self.open)().map_err(told("opening again"))?);
        Ok(())
    }

    /// Reads every so-manieth object and counts all.
    fn look(&self, every: usize) -> Result<(), String> {
        let bucket = self.bucket()?;
        for (number, len) in self.live.iter().step_by(every) {
            let read = bucket.get(&key(*number)).and_then(|object| object.bytes());
            let read = read.map_err(told(format!("reading {number}")))?;
            if read[..] != body(*number, *len)[..] {
                return Err(format!("{number} reads wrong"));
            }
        }
        let there = bucket.usage("").map_err(told("counting"))?.objects;
        if there != self.live.len() as u64 {
            return Err(format!("{there} objects are there and not {}", self.live.len()));
        }
        Ok(())
    }
}
