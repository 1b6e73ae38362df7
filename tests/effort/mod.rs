//! How much the tests try: a sample by a seed, or the whole under `OSSICLE_TESTS=full`.
//!
//! Every heavy loop asks here. The sample keeps `cargo test` short; CI tries the whole, in a build for release.
//! A test that samples says its seed, which is shown when it fails; `OSSICLE_TEST_SEED` repeats or changes it.
#![allow(dead_code, reason = "each test target uses the part it needs")]
#![allow(clippy::print_stdout, reason = "the seed repeats a failure")]

use std::fmt::Display;
use std::str::FromStr;

/// Whether the whole is tried: `OSSICLE_TESTS=full`.
pub fn is_full() -> bool {
    match std::env::var("OSSICLE_TESTS").as_deref() {
        Ok("full") => true,
        Ok("sample" | "") | Err(_) => false,
        Ok(other) => panic!("OSSICLE_TESTS is `full` or `sample`, not `{other}`"),
    }
}

/// `sample` of something, or `whole` of it under `OSSICLE_TESTS=full`.
pub fn of<T>(sample: T, whole: T) -> T {
    if is_full() { whole } else { sample }
}

/// At most how many places of a loop are tried: `sample`, or every one under `OSSICLE_TESTS=full`.
pub fn places(sample: u64) -> u64 {
    of(sample, u64::MAX)
}

/// Of all things every `parts`-th, the seed says from which on; all of them under `OSSICLE_TESTS=full`.
pub fn some<T>(all: Vec<T>, parts: usize) -> Vec<T> {
    let (first, step) = of((seed() as usize % parts, parts), (0, 1));
    all.into_iter().skip(first).step_by(step).collect()
}

/// As [`of`], unless the environment variable `name` says a number.
pub fn number<T: FromStr<Err: Display>>(name: &str, sample: T, whole: T) -> T {
    said(name).unwrap_or_else(|| of(sample, whole))
}

/// The seed of this run: 1, or what `OSSICLE_TEST_SEED` says.
pub fn seed() -> u64 {
    let seed = said("OSSICLE_TEST_SEED").unwrap_or(1);
    println!("to repeat this: OSSICLE_TEST_SEED={seed} OSSICLE_TESTS={}", of("sample", "full"));
    seed
}

/// The number in an environment variable; none if it is not set.
fn said<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name} is a number, not `{text}`: {error}")))
}
