//! Damage to the files of a closed store, and of one that was killed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use ossicle::{CompactOptions, ErrorKind, Lsn};

use crate::harness::damage::{Found, copy, files, offsets, survey, survey_rebuilt};
use crate::harness::model::State;
use crate::harness::run::calm;
use crate::harness::world::World;
use crate::harness::{effort, scripts, seed, stride};

/// Stores to damage, with the states that may be found in them: closed in peace, and left as a kill leaves them. There
/// damage to the last record of the log looks like a torn tail, and a log cut off behind the checkpoint like one that
/// never had more: the newest state comes first, and `LAST` of them for damage that cuts nothing off.
fn stores() -> Vec<(String, World, Vec<State>)> {
    let mut stores = Vec::new();
    for (name, script) in [
        ("moved", scripts::moved_twice()),
        ("transactions", scripts::transactions()),
        ("copies", scripts::copies()),
        ("versions", scripts::null_slot()),
        ("shared", scripts::shared_at_once()),
        ("short", scripts::short_together()),
        ("forks", scripts::forks()),
        ("uploads", scripts::parts_move()),
        ("past", scripts::history()),
        ("tiers", scripts::tiers()),
        ("solid", scripts::solid()),
    ] {
        let (world, run) = calm(&script, seed(), None).unwrap();
        let state = run.newest().clone();
        stores.push((
            format!("{name}, killed"),
            copy(&world),
            run.history.iter().rev().take(3).cloned().collect(),
        ));
        if let Some(store) = &run.store {
            store.close().unwrap();
        }
        drop(run);
        stores.push((name.to_string(), world, vec![state]));
    }
    stores
}

/// How many states may be found in a killed store whose log was not cut off.
const LAST: usize = 2;

/// Does `work` for every item, on two threads.
fn on_two_threads<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

#[test]
fn flipped_bytes_are_found() {
    let (flips, reported) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for (name, world, state) in stores() {
        let mut cases: Vec<(PathBuf, usize)> = Vec::new();
        for (number, (path, bytes)) in files(&world).into_iter().enumerate() {
            cases.extend(offsets(&bytes, stride(293, 29), number).into_iter().map(|at| (path.clone(), at)));
        }
        on_two_threads(&cases, |(path, at)| {
            let damaged = copy(&world);
            assert!(damaged.disk.flip(path, *at as u64, 1 << (at % 8)));
            let found = survey(&damaged, &state[..state.len().min(LAST)]);
            let found =
                found.unwrap_or_else(|wrong| panic!("{name}: byte {at} of {}: {wrong}", path.display()));
            flips.fetch_add(1, Ordering::Relaxed);
            if found == Found::Reported {
                reported.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    println!("flips: {flips:?}, reported: {reported:?}");
}

#[test]
fn a_damaged_index_is_made_anew() {
    for (name, world, state) in stores() {
        let index = Path::new("/store/index.tree");
        let bytes = world.disk.contents(index).unwrap();
        let cases = offsets(&bytes, stride(293, 29) * 7, 3);
        on_two_threads(&cases, |at| {
            let damaged = copy(&world);
            damaged.disk.flip(index, *at as u64, 0x10);
            survey_rebuilt(&damaged, &state).unwrap_or_else(|wrong| panic!("{name}: byte {at}: {wrong}"));
        });
        let lost = copy(&world);
        assert!(lost.disk.erase(index));
        assert_eq!(survey(&lost, &state), Ok(Found::Harmless), "{name}: without the index file");
        for len in [0, 1, 4096, bytes.len() / 2] {
            let short = copy(&world);
            short.disk.truncate(index, len as u64);
            survey_rebuilt(&short, &state)
                .unwrap_or_else(|wrong| panic!("{name}: index of {len} bytes: {wrong}"));
        }
    }
}

#[test]
fn cut_lost_and_exchanged_files_are_found() {
    let mut cases = 0;
    for (name, world, state) in stores() {
        let files = files(&world);
        for (path, bytes) in &files {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let mut lengths: Vec<usize> =
                vec![0, 1, 31, 32, 127, 128, 129, 4095, 4096, used / 2, used.saturating_sub(1)];
            lengths.extend((0..used).step_by(used / effort::of(3, 20) + 1));
            for len in lengths.into_iter().filter(|len| *len < bytes.len()) {
                let damaged = copy(&world);
                damaged.disk.truncate(path, len as u64);
                survey(&damaged, &state)
                    .unwrap_or_else(|w| panic!("{name}: {} cut to {len}: {w}", path.display()));
                cases += 1;
            }
            let damaged = copy(&world);
            damaged.disk.erase(path);
            survey(&damaged, &state)
                .unwrap_or_else(|wrong| panic!("{name}: {} erased: {wrong}", path.display()));
            for (other, _) in files.iter().step_by(effort::of(3, 1)) {
                let damaged = copy(&world);
                damaged.disk.swap(path, other);
                let pair = format!("{} and {}", path.display(), other.display());
                survey(&damaged, &state).unwrap_or_else(|wrong| panic!("{name}: {pair} exchanged: {wrong}"));
                cases += 1;
            }
        }
    }
    println!("cut, lost or exchanged: {cases}");
}

/// Damage may cost what lies in the damaged place, but never what maintenance removes because it could not read on.
#[test]
fn damage_does_not_spread_by_maintenance() {
    for (name, world, state) in stores() {
        let mut cases: Vec<(PathBuf, usize)> = Vec::new();
        for (path, bytes) in
            files(&world).into_iter().filter(|(path, _)| path.extension().is_some_and(|ext| ext == "seg"))
        {
            cases.extend(offsets(&bytes, stride(293, 29) * 5, 1).into_iter().map(|at| (path.clone(), at)));
        }
        on_two_threads(&cases, |(path, at)| {
            let damaged = copy(&world);
            damaged.disk.flip(path, *at as u64, 1);
            let readable = |world: &World| {
                let Ok(store) = world.open() else { return None };
                let mut keys = Vec::new();
                for (bucket, objects) in &state[0].buckets {
                    let Ok(bucket) = store.bucket(bucket) else {
                        continue;
                    };
                    for key in objects.keys() {
                        if bucket.get(key).and_then(|object| object.bytes()).is_ok() {
                            keys.push((bucket.name().to_string(), key.clone()));
                        }
                    }
                }
                // Whatever comes of it.
                let _ = store.compact(CompactOptions::new().garbage_percent(0));
                Some(keys)
            };
            let before = readable(&damaged);
            let after = readable(&damaged);
            assert!(
                before.is_none() || before == after,
                "{name}: byte {at} of {}: {before:?} became {after:?}",
                path.display()
            );
        });
    }
}

/// What is damaged is not told, and nothing behind it; what is told is what happened.
#[test]
fn damage_never_changes_what_the_feed_tells() {
    let (world, run) = calm(&scripts::cursor_moves(), seed(), None).unwrap();
    let store = run.store.unwrap();
    let from = store.cursor("some").unwrap().unwrap();
    let told: Vec<_> = store.changes(from).unwrap().map(Result::unwrap).collect();
    assert!(told.len() > 5);
    store.close().unwrap();
    drop(store);
    let mut cases: Vec<(PathBuf, usize)> = Vec::new();
    for (number, (path, bytes)) in files(&world).into_iter().enumerate() {
        cases.extend(offsets(&bytes, stride(293, 29), number).into_iter().map(|at| (path.clone(), at)));
    }
    let refused = AtomicUsize::new(0);
    on_two_threads(&cases, |(path, at)| {
        let damaged = copy(&world);
        damaged.disk.flip(path, *at as u64, 1 << (at % 8));
        let Ok(store) = damaged.open() else { return };
        let wrong = format!("byte {at} of {}", path.display());
        for after in [from, Lsn(from.0 + 3)] {
            let rest = told.iter().skip((after.0 - from.0) as usize);
            let mut ended = 0;
            let Ok(changes) = store.changes(after) else { continue };
            for (change, expected) in changes.zip(rest) {
                match change {
                    Ok(change) => assert_eq!(change, *expected, "{wrong}"),
                    Err(error) => {
                        let kinds = [ErrorKind::Corrupt, ErrorKind::NotFound];
                        assert!(kinds.contains(&error.kind()), "{wrong}: {error}");
                        ended += 1;
                    }
                }
            }
            refused.fetch_add(ended, Ordering::Relaxed);
        }
    });
    assert!(refused.into_inner() > 10);
}
