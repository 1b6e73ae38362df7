//! Random histories under every kind of store and settings.
//!
//! Every run plays the same histories; `PROPTEST_RNG_SEED` draws others, `PROPTEST_CASES` draws more.

use std::sync::Mutex;

use ossicle::{ReadMode, Settings};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::history::{Op, history};
use crate::play::Play;
use crate::world::{World, small};

/// Plays `cases` histories of at most `most` calls, each in worlds of its own.
fn play(seed: u64, cases: u32, most: usize, worlds: impl Fn() -> Vec<World>) -> u64 {
    play_some(seed, cases, most, |_| true, worlds)
}

/// The same with only such calls in the histories as `keep` keeps.
fn play_some(
    seed: u64,
    cases: u32,
    most: usize,
    keep: fn(&Op) -> bool,
    worlds: impl Fn() -> Vec<World>,
) -> u64 {
    let mut config =
        ProptestConfig { failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(seed);
    }
    let played = Mutex::new(0);
    let outcome = TestRunner::new(config).run(&history(most), |mut history: Vec<Op>| {
        history.retain(keep);
        let mut told = Vec::new();
        for world in worlds() {
            *played.lock().unwrap() += Play::all(&world, &history);
            told.push(Play::begin(&world).told());
        }
        prop_assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "two worlds end differently");
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    played.into_inner().unwrap()
}

#[test]
fn a_store_in_memory_read_through_maps_answers_as_the_model() {
    let played = play(1, 260, 400, || vec![World::in_memory(small(ReadMode::Mapped))]);
    assert!(played > 60_000, "only {played} calls were compared");
}

#[test]
fn a_store_in_memory_read_by_position_answers_as_the_model() {
    let played = play(2, 260, 400, || vec![World::in_memory(small(ReadMode::Positioned))]);
    assert!(played > 60_000, "only {played} calls were compared");
}

#[test]
fn a_store_on_disk_read_through_maps_answers_as_the_model() {
    let played = play(3, 30, 300, || vec![World::on_disk(small(ReadMode::Mapped))]);
    assert!(played > 5_000, "only {played} calls were compared");
}

#[test]
fn a_store_on_disk_read_by_position_answers_as_the_model() {
    let played = play(4, 30, 300, || vec![World::on_disk(small(ReadMode::Positioned))]);
    assert!(played > 5_000, "only {played} calls were compared");
}

/// The settings decide how a store does things and never what it answers.
#[test]
fn the_same_history_under_other_settings_gives_the_same_answers() {
    let nothing_packed = Settings { packed_max: 0, inline_max: 0, ..small(ReadMode::Mapped) };
    let everything_packed = Settings { packed_max: 4 << 20, inline_max: 700, ..small(ReadMode::Positioned) };
    let large_chunks = Settings { chunk_size: 16 << 20, garbage_percent: 90, ..small(ReadMode::Mapped) };
    let all = [Settings::default(), nothing_packed, everything_packed, large_chunks];
    let played = play(5, 40, 300, || all.iter().cloned().map(World::in_memory).collect());
    assert!(played > 40_000, "only {played} calls were compared");
}

/// Maintenance at any moment changes no answer. Its thread works on the same store while the history is played.
#[test]
fn a_store_with_a_maintenance_thread_answers_as_the_model() {
    let world = || vec![World::in_memory(small(ReadMode::Mapped)).with_background()];
    // Without renames, because taking away their traces is a commit, and nobody knows when it happens.
    let played = play_some(6, 100, 400, |op| !op.renames(), world);
    assert!(played > 25_000, "only {played} calls were compared");
}
