//! Random histories under every kind of store and settings.
//!
//! One run compares more than a million calls on stores in memory: each test asks for its share of them.
//!
//! Every run plays the same histories, an eighth of them unless `OSSICLE_TESTS=full`; `OSSICLE_TEST_SEED` draws others,
//! `OSSICLE_MODEL_TIMES=10` ten times as many. With `--nocapture` each test says how many calls it has compared.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use ossicle::{ReadMode, Settings};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::effort;
use crate::history::{Op, history};
use crate::play::Play;
use crate::world::{World, small};

/// Of the histories one in so many is played in a sample.
const SAMPLED: u32 = 8;

/// Plays `cases` histories of at most `most` calls, each in worlds of its own. In all at least `least` calls must come
/// of it, of which every answer was compared; how many there were is printed.
fn play(seed: u64, cases: u32, most: usize, least: u64, worlds: impl Fn() -> Vec<World>) {
    play_some(seed, cases, most, least, |_| true, worlds)
}

/// The same with only such calls in the histories as `keep` keeps, and as it makes them.
fn play_some(
    seed: u64,
    cases: u32,
    most: usize,
    least: u64,
    keep: fn(&mut Op) -> bool,
    worlds: impl Fn() -> Vec<World>,
) {
    let times = effort::number("OSSICLE_MODEL_TIMES", 1, SAMPLED);
    let config = ProptestConfig {
        cases: (cases * times).div_ceil(SAMPLED),
        rng_seed: RngSeed::Fixed(seed.wrapping_mul(effort::seed())),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..ProptestConfig::default()
    };
    // A sample may have the shorter histories.
    let least = if times < SAMPLED { least * 3 / 4 } else { least };
    let least = least * u64::from(times) / u64::from(SAMPLED);
    let played = Mutex::new((0, BTreeMap::new()));
    let outcome = TestRunner::new(config).run(&history(most), |mut history: Vec<Op>| {
        history.retain_mut(keep);
        let mut told = Vec::new();
        for world in worlds() {
            let mut sum = played.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (played, tally) = &mut *sum;
            *played += Play::all(&world, &history, tally);
            told.push(Play::begin(&world).told());
        }
        prop_assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "two worlds end differently");
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let (played, tally) = played.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!("calls and commits: {tally:?}");
    println!("{played} calls compared");
    assert!(played >= least, "only {played} calls compared");
}

#[test]
fn a_store_in_memory_read_through_maps_answers_as_the_model() {
    play(1, 320, 400, 330_000, || vec![World::in_memory(small(ReadMode::Mapped))]);
}

#[test]
fn a_store_in_memory_read_by_position_answers_as_the_model() {
    play(2, 320, 400, 330_000, || vec![World::in_memory(small(ReadMode::Positioned))]);
}

#[test]
fn a_store_on_disk_read_through_maps_answers_as_the_model() {
    play(3, 30, 300, 20_000, || vec![World::on_disk(small(ReadMode::Mapped))]);
}

#[test]
fn a_store_on_disk_read_by_position_answers_as_the_model() {
    play(4, 30, 300, 20_000, || vec![World::on_disk(small(ReadMode::Positioned))]);
}

/// Whatever was retained of the past is as it was, however the store was closed and opened and compacted since.
#[test]
fn a_store_with_a_past_answers_as_the_model() {
    let past = |history| Settings { history: Some(Duration::from_secs(history)), ..small(ReadMode::Mapped) };
    play(7, 140, 400, 150_000, || vec![World::in_memory(past(8))]);
    play(8, 40, 400, 50_000, || vec![World::in_memory(past(3600))]);
}

/// Every body has the digests that OSS shows, and entity tags made from its MD5.
#[test]
fn a_store_with_the_digests_of_oss_answers_as_the_model() {
    let all = |op: &mut Op| {
        op.extras().into_iter().for_each(|extras| extras.oss = true);
        true
    };
    play_some(10, 60, 400, 60_000, all, || vec![World::in_memory(small(ReadMode::Mapped))]);
}

/// The change feed tells each commit once, and whoever does again what it tells has what the store has.
#[test]
fn a_store_that_is_followed_answers_as_the_model() {
    play(9, 100, 400, 100_000, || vec![World::in_memory(small(ReadMode::Mapped)).with_follower()]);
}

/// Encryption changes no answer, whatever is lost, opened again, or read beside the writer.
#[test]
fn a_store_that_is_encrypted_answers_as_the_model() {
    play(11, 60, 400, 60_000, || vec![World::in_memory(small(ReadMode::Mapped)).with_key()]);
    let past = Settings { history: Some(Duration::from_secs(8)), ..small(ReadMode::Positioned) };
    play(12, 20, 400, 20_000, || vec![World::in_memory(past.clone()).with_key().with_follower()]);
}

/// The settings decide how a store does things and never what it answers.
#[test]
fn the_same_history_under_other_settings_gives_the_same_answers() {
    let nothing_packed = Settings { packed_max: 0, inline_max: 0, ..small(ReadMode::Mapped) };
    let everything_packed = Settings { packed_max: 4 << 20, inline_max: 700, ..small(ReadMode::Positioned) };
    let large_chunks = Settings { chunk_size: 16 << 20, garbage_percent: 90, ..small(ReadMode::Mapped) };
    let all = [Settings::default(), nothing_packed, everything_packed, large_chunks];
    play(5, 60, 300, 160_000, || {
        let sealed = World::in_memory(small(ReadMode::Mapped)).with_key();
        all.iter().cloned().map(World::in_memory).chain([sealed]).collect()
    });
}

/// Maintenance at any moment changes no answer. Its thread works on the same store while the history is played.
#[test]
fn a_store_with_a_maintenance_thread_answers_as_the_model() {
    let world = || vec![World::in_memory(small(ReadMode::Mapped)).with_background()];
    // Without renames and the like, because taking away their traces is a commit, and nobody knows when it happens.
    play_some(6, 120, 400, 80_000, |op| !op.leaves_work(), world);
}
