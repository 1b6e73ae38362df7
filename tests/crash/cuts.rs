//! Power cuts at every call of every script, or at a sample of them, and at random ones while there is time.

use std::path::Path;
use std::time::Duration;

use ossicle::testing::{CutPolicy, Fault};
use ossicle::{ErrorKind, Site};

use crate::harness::climate::Climate;
use crate::harness::run::{Weather, calm, run};
use crate::harness::script::{Op, Script};
use crate::harness::world::{DIR, World, observe};
use crate::harness::{Deadline, Dice, Tally, aftermath, cuts, effort, places, scripts, seed, spread};

macro_rules! every_call {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let tally = cuts::some_calls(&scripts::$name(), seed(), places(16), None).unwrap();
            println!("{}: {} disks", stringify!($name), tally.runs);
        })*

        /// Nothing is left out of the list above.
        #[test]
        fn every_script_is_cut() {
            assert_eq!([$(stringify!($name)),*].to_vec(), scripts::all().iter().map(|script| script.name).collect::<Vec<_>>());
        }
    };
}

every_call! {
    first_steps overwrite_and_relocate rename_and_relocate log_rotation many_small reopen_often tombstones
    bucket_again buffered_then_synced streamed_buffered copies transactions transactions_that_reach writers long_metadata maintenance
    tombstones_move versions readers cursor_moves moved_twice version_chains null_slot shared_bodies shared_at_once short_together
    rename_across prefix_deleted prefix_renamed prefix_kept
    prefixes_of_versions forks fork_alone forks_and_prefixes history
    history_of_prefixes configurations appends appends_merged uploads parts_move
    lifecycles evictions tiers solid backed_up classes index_rewritten classes_of_versions
}

/// Else the script would cut nothing of what it is there for.
#[test]
fn the_script_that_rewrites_the_index_does_so_twice() {
    let whole = scripts::index_rewritten();
    let first = whole.ops.iter().position(|op| matches!(op, Op::Compact)).unwrap();
    let half = Script { name: "half", ops: whole.ops[..=first].to_vec() };
    for (script, file) in [(half, "index.alt.tree"), (whole, "index.tree")] {
        let world = World::new(seed(), None);
        run(&world, &script, Weather::Calm).unwrap();
        let files = world.disk.vfs().list(Path::new(DIR), Site::STORE_LIST).unwrap();
        let trees: Vec<_> =
            files.iter().map(|file| &file.name[..]).filter(|name| name.ends_with(".tree")).collect();
        assert_eq!(trees, [file]);
    }
}

#[test]
fn many_parts() {
    let tally = cuts::some_calls(&scripts::many_parts(), seed(), places(8), None).unwrap();
    println!("many_parts: {} disks", tally.runs);
}

#[test]
fn cuts_at_random() {
    let deadline = Deadline::after(Duration::from_secs(effort::number("OSSICLE_CRASH_BUDGET", 3, 60)));
    let scripts = scripts::all();
    let mut dice = Dice::new(seed());
    let mut tally = Tally::default();
    while !deadline.is_past() {
        let number = dice.roll() >> 16;
        let script = &scripts[(number % scripts.len() as u64) as usize];
        // Half of them in another climate.
        let (script, number) = match Climate::ALL.get((number >> 40) as usize % (2 * Climate::ALL.len())) {
            Some(climate) => (climate.script(script), climate.seed(number & 0xFF_FFFF_FFFF)),
            None => (script.clone(), number & 0xFF_FFFF_FFFF),
        };
        tally.join(cuts::any_call(&script, number, None).unwrap());
    }
    println!("at random: {} disks", tally.runs);
}

#[test]
fn torn_writes_at_every_call() {
    let mut disks = 0;
    for script in
        [scripts::first_steps(), scripts::streamed_buffered(), scripts::many_small(), scripts::log_rotation()]
    {
        disks += cuts::some_calls_torn(&script, seed(), places(16), None).unwrap().runs;
    }
    println!("torn: {disks} disks");
}

/// Whoever only reads does not cut the tail off, and must not tell what stands there.
#[test]
fn the_feed_of_a_store_that_is_only_read_ends_where_its_log_ends() {
    let script = scripts::cursor_moves();
    let (calm, _) = calm(&script, seed(), None).unwrap();
    let fresh = World::new(seed(), None);
    drop(fresh.open().unwrap());
    let made = fresh.disk.operations();
    let mut read = 0;
    for at in spread(calm.disk.operations() + 1, places(60), seed()) {
        for policy in [CutPolicy::Torn(at), CutPolicy::Prefix(at), CutPolicy::KeepAll] {
            let world = World::new(seed(), None);
            world.disk.fail_at(at, Fault::PowerCut);
            let run = run(&world, &script, Weather::Cut).unwrap();
            let state = match world.restart(policy).open_reader() {
                Ok(store) => observe(&store),
                // The store is not made yet.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) && at < made =>
                {
                    continue;
                }
                Err(error) => Err(error.to_string()),
            };
            let held = state.and_then(|state| aftermath::hold(&state, &run.allowed()));
            held.unwrap_or_else(|wrong| panic!("cut at call {at}, {policy:?}: {wrong}"));
            read += 1;
        }
    }
    assert!(read > 100, "{read}");
}
