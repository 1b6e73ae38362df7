//! What the benches share: medians of several runs, raw limits of the same machine in the same run.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]
// A bench is not the store: it measures files and clocks directly.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often each figure is taken; the median counts.
pub const RUNS: usize = 5;

/// A scratch directory on the disk that is measured: `OSSICLE_BENCH_DIR`, or below the build directory (a
/// memory file system such as some /tmp would make every sync free).
pub fn scratch(name: &str) -> PathBuf {
    let base = std::env::var_os("OSSICLE_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = base.join(format!("bench-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a scratch directory");
    dir
}

/// Removes a scratch directory.
pub fn clean(dir: &PathBuf) {
    let _ = std::fs::remove_dir_all(dir);
}

/// The time that `work` takes.
pub fn time(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// The time of one core that `work` takes on this thread: on a machine that others use as well, what it would take alone.
pub fn cpu_time(work: impl FnOnce()) -> Duration {
    let spent = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        nanos.map(Duration::from_nanos)
    };
    let (before, begun) = (spent(), Instant::now());
    work();
    match (before, spent()) {
        (Some(before), Some(after)) if after > before => after - before,
        _ => begun.elapsed(),
    }
}

/// Now.
pub fn now() -> Instant {
    Instant::now()
}

/// The median of rates.
pub fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// How many a second.
pub fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// One line: what, how fast, and its ratio to the limit of the same run.
pub fn report(what: &str, ours: f64, limit_name: &str, limit: f64) {
    println!(
        "{what:<52} {:>12} | {limit_name} {:>12} | ratio {:.2}",
        human(ours),
        human(limit),
        ours / limit
    );
}

/// One line without a limit.
pub fn say(what: &str, value: impl std::fmt::Display) {
    println!("{what:<52} {value}");
}

/// A rate for people.
pub fn human(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.2} M/s", r / 1e6),
        r if r >= 1e4 => format!("{:.1} k/s", r / 1e3),
        r => format!("{r:.1} /s"),
    }
}

/// Raw: appends of `size` bytes, each followed by fdatasync.
pub fn append_sync(dir: &std::path::Path, size: usize, count: usize) -> f64 {
    let file = raw(dir);
    let bytes = noise(size, 1);
    let took = time(|| {
        for i in 0..count {
            file.write_all_at(&bytes, (i * size) as u64).expect("a raw write");
            file.sync_data().expect("a raw sync");
        }
    });
    rate(count, took)
}

/// Raw: writes of `size` bytes, one behind the other, without a sync.
pub fn plain_write(dir: &std::path::Path, size: usize, count: usize) -> f64 {
    let file = raw(dir);
    let bytes = noise(size, 2);
    let took = time(|| {
        for i in 0..count {
            file.write_all_at(&bytes, (i * size) as u64).expect("a raw write");
        }
    });
    rate(count, took)
}

/// Raw: copies of `size` bytes in memory.
pub fn memcpy(size: usize, count: usize) -> f64 {
    let from = noise(size, 3);
    let mut to = vec![0u8; size];
    let took = time(|| {
        for _ in 0..count {
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
        }
    });
    rate(count, took)
}

fn raw(dir: &std::path::Path) -> File {
    let path = dir.join("raw");
    let _ = std::fs::remove_file(&path);
    OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path).expect("a raw file")
}

/// Bytes that no compressor likes, the same each time.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Zipf-distributed numbers below `n` with exponent 0.99, by inversion of the harmonic sums; number i is
/// scattered so that hot ones are not neighbours.
pub struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    /// For numbers below `n`.
    pub fn new(n: usize) -> Zipf {
        let mut total = 0.0;
        let sums = (1..=n).map(|i| {
            total += 1.0 / (i as f64).powf(0.99);
            total
        });
        Zipf { sums: sums.collect() }
    }

    /// The next number.
    pub fn next(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.sums.last().expect("at least one");
        let rank = self.sums.partition_point(|sum| *sum < at);
        (rank as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize % self.sums.len()
    }
}

/// A line of /proc/self/status in MiB, such as `RssAnon`.
pub fn status_mib(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// Bytes of disk below a directory.
pub fn disk_bytes(dir: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Bytes that this process has handed to the system for writing.
pub fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("wchar")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// A number from the environment, or a default: to make a bench longer or shorter.
pub fn knob(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
