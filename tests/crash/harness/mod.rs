//! The harness: scripts of operations, the state that each must lead to, and disks that fail under them.
//!
//! A script runs on a simulated disk beside a model. Wherever the disk stops, the store must come back with the
//! state after some prefix of the script that holds everything acknowledged as durable. What is wrong is
//! returned as a sentence, so that the tests of the tests can ask for it.

pub mod aftermath;
pub mod apart;
pub mod canary;
pub mod climate;
pub mod cuts;
pub mod damage;
pub mod enemy;
pub mod errors;
pub mod full;
pub mod model;
pub mod nested;
pub mod race;
pub mod readers;
pub mod rules;
pub mod run;
pub mod script;
pub mod scripts;
pub mod upload;
pub mod world;

#[path = "../../effort/mod.rs"]
pub mod effort;

use std::time::{Duration, Instant};

pub use effort::{places, seed};
use ossicle::testing::{CutPolicy, FaultyDisk};

/// What a check found wrong, as a sentence.
pub type Verdict<T = ()> = Result<T, String>;

/// What happened so far: calls by site, and faults by site and kind.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many runs were cut, failed or filled up.
    pub runs: u64,
    /// Calls by site.
    pub calls: std::collections::BTreeMap<&'static str, u64>,
    /// Faults that struck, by site and kind.
    pub hits: std::collections::BTreeMap<(&'static str, &'static str), u64>,
}

impl Tally {
    /// Adds what a disk has seen.
    pub fn add(&mut self, disk: &FaultyDisk) {
        self.runs += 1;
        for (site, count) in disk.calls() {
            *self.calls.entry(site.0).or_default() += count;
        }
        for hit in disk.hits() {
            *self.hits.entry((hit.site.0, hit.fault)).or_default() += hit.count;
        }
    }

    /// Adds another tally.
    pub fn join(&mut self, other: Tally) {
        self.runs += other.runs;
        for (site, count) in other.calls {
            *self.calls.entry(site).or_default() += count;
        }
        for (key, count) in other.hits {
            *self.hits.entry(key).or_default() += count;
        }
    }
}

/// A time after which no new random run is begun.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So far from now.
    pub fn after(time: Duration) -> Deadline {
        Deadline(Instant::now() + time)
    }

    /// Whether it has come.
    pub fn is_past(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next number (SplitMix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }
}

/// One of the policies that keep a part of what was not synced, from a number.
pub fn policy_of(number: u64) -> CutPolicy {
    let seed = number / 4;
    match number % 4 {
        0 => CutPolicy::Torn(seed),
        1 => CutPolicy::Subset(seed),
        2 => CutPolicy::Prefix(seed),
        _ => CutPolicy::KeepAll,
    }
}

/// At most `most` numbers below `count`, one of each part of them, so that no stretch is left out; all if `most` is enough.
pub fn spread(count: u64, most: u64, seed: u64) -> Vec<u64> {
    let most = most.min(count);
    let mut dice = Dice::new(seed ^ count);
    let part = |part: u64| {
        let (from, until) = (count * part / most, count * (part + 1) / most);
        from + dice.below(until - from)
    };
    (0..most).map(part).collect()
}

/// Of how many bytes one is flipped: `sample` of them, or `whole`; every one with `OSSICLE_CRASH_FLIPS=1`.
pub fn stride(sample: usize, whole: usize) -> usize {
    effort::number("OSSICLE_CRASH_FLIPS", sample, whole)
}
