//! Encrypted stores under everything that plain ones are tried with, and under an enemy who makes every checksum right.

use std::path::Path;

use ossicle::testing::{CutPolicy, Fault};
use ossicle::{ErrorKind, SalvageOptions, StaticKey, Store};

use crate::harness::canary::{secrets, tells};
use crate::harness::damage::{copy, files};
use crate::harness::enemy::{self, assert_refused, crc, records, resum, resum_if_sound, segments, small};
use crate::harness::model::State;
use crate::harness::run::{Weather, calm, run};
use crate::harness::script::{Op, Script};
use crate::harness::world::{DIR, SEALED, World, key, observe, verify};
use crate::harness::{cuts, effort, errors, full, nested, places, scripts, seed, stride};

#[test]
fn shreds() {
    let tally = cuts::some_calls(&scripts::shreds(), seed() | SEALED, places(40), None).unwrap();
    println!("shreds, sealed: {} disks", tally.runs);
}

#[test]
fn torn_writes() {
    for script in [scripts::first_steps(), scripts::streamed_buffered(), scripts::shreds()] {
        cuts::some_calls_torn(&script, seed() | SEALED, places(20), None).unwrap();
    }
}

#[test]
fn failing_calls_full_disks_and_cut_recoveries() {
    let script = scripts::overwrite_and_relocate();
    errors::some_changes(&script, seed() | SEALED, places(12), None).unwrap();
    full::every_capacity(&scripts::first_steps(), seed() | SEALED, effort::of(96 << 10, 16 << 10), None)
        .unwrap();
    nested::every_recovery(&script, seed() | SEALED, effort::of(97, 11), 1, None).unwrap();
}

#[test]
fn failing_calls_full_disks_and_cut_recoveries_of_shreds() {
    let script = scripts::shreds();
    errors::some_changes(&script, seed() | SEALED, places(12), None).unwrap();
    full::every_capacity(&script, seed() | SEALED, effort::of(96 << 10, 16 << 10), None).unwrap();
    nested::every_recovery(&script, seed() | SEALED, effort::of(97, 11), 1, None).unwrap();
}

/// Wherever a shred is cut, the next opening ends it; and then no old file that turns up again is opened by the key.
#[test]
fn a_shred_that_was_cut_is_ended_and_leaves_nothing() {
    let script = scripts::shreds();
    let first = script.ops.iter().position(|op| matches!(op, Op::Shred(..))).unwrap();
    let begun = Script { name: "what is there before", ops: script.ops[..first].to_vec() };
    let (before, _) = calm(&begun, seed() | SEALED, None).unwrap();
    let old = files(&before);
    let secret = |store: &Store| -> bool {
        let buckets = store.buckets().unwrap().map(Result::unwrap);
        buckets.into_iter().any(|bucket| bucket.list("secret/").unwrap().next().is_some())
    };
    let salvaged = |world: &World, to: &str| -> Option<Store> {
        let options = SalvageOptions::new().vfs(world.disk.vfs()).key_provider(key());
        Store::salvage_with(DIR, to, options).ok()?;
        Some(Store::builder(to).vfs(world.disk.vfs()).key_provider(key()).open().unwrap())
    };
    // What was there before can be had from what was there before.
    assert!(secret(&salvaged(&copy(&before), "/saved").unwrap()));
    let (calm, _) = calm(&script, seed() | SEALED, None).unwrap();
    let mut ended = 0;
    for at in (0..=calm.disk.operations()).step_by(effort::of(17, 5)) {
        for policy in [CutPolicy::DropUnsynced, CutPolicy::Torn(at)] {
            let world = World::new(seed() | SEALED, None);
            world.disk.fail_at(at, Fault::PowerCut);
            drop(run(&world, &script, Weather::Cut).unwrap());
            let after = world.restart(policy);
            let Ok(store) = after.open() else { continue };
            let was_shredding = store.is_shredding().unwrap();
            store.finish_shredding().unwrap();
            assert!(!store.is_shredding().unwrap());
            let there = store.bucket("one").is_ok_and(|bucket| bucket.get("stays too").is_ok());
            if !there || secret(&store) {
                assert!(!was_shredding, "cut at {at}");
                continue;
            }
            store.close().unwrap();
            ended += usize::from(was_shredding);
            for (path, bytes) in old.iter().filter(|(path, _)| !path.ends_with("SUPERBLOCK")) {
                after.disk.put_contents(path, bytes.clone());
            }
            if let Some(store) = salvaged(&after, "/saved") {
                assert!(!secret(&store), "cut at {at}, {policy:?}");
            }
        }
    }
    assert!(ended > 5, "{ended} shreds were ended");
}

/// No file tells anything, wherever the power is cut, before and after the store is opened again.
#[test]
fn no_file_tells_anything_after_any_crash() {
    for script in [scripts::overwrite_and_relocate(), scripts::long_metadata(), scripts::uploads()] {
        let (calm, calm_run) = calm(&script, seed() | SEALED, None).unwrap();
        let known: Vec<&State> = calm_run.history.iter().collect();
        let secrets = secrets(&known);
        assert!(secrets.len() > 3);
        let operations = calm.disk.operations();
        for at in (0..=operations).step_by((operations / effort::of(6, 24)).max(1) as usize) {
            let world = World::new(seed() | SEALED, None);
            world.disk.fail_at(at, Fault::PowerCut);
            drop(run(&world, &script, Weather::Cut).unwrap());
            for policy in [CutPolicy::KeepAll, CutPolicy::Torn(at)] {
                let after = world.restart(policy);
                assert_eq!(tells(&after, &secrets), None, "script {}, cut at {at}", script.name);
                if let Ok(store) = after.open() {
                    store.checkpoint().unwrap();
                    drop(store);
                    assert_eq!(tells(&after, &secrets), None, "script {}, opened after {at}", script.name);
                }
            }
        }
        // And where nothing is encrypted, they are found.
        let (plain, _run) = crate::harness::run::calm(&script, seed(), None).unwrap();
        assert!(tells(&plain, &secrets).is_some());
    }
}

#[test]
fn every_flipped_byte_of_a_small_store_is_found_or_does_not_matter() {
    let (world, state) = small(seed(), None);
    let mut flips = 0;
    for (path, bytes) in files(&world) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 40).min(bytes.len()));
        for at in (0..used).step_by(stride(59, 13)) {
            let damaged = copy(&world);
            assert!(damaged.disk.flip(&path, at as u64, 1 << (at % 8)));
            flips += 1;
            assert_refused(&damaged, &state, &format!("byte {at} of {}", path.display()));
        }
    }
    println!("{flips} flips");
}

// The enemy: whoever can write to the directory, knows the format, and has no key -------------------------------

#[test]
fn the_enemy_makes_the_sums_of_unchanged_records_as_they_are() {
    let (world, _) = small(seed(), None);
    let mut seen = 0;
    for (_, bytes) in segments(&world) {
        for (at, _) in records(&bytes) {
            let mut again = bytes.clone();
            if again[at] <= 3 {
                again[at + 4..at + 8].fill(0);
                again[at + 28..at + 32].fill(0);
                resum(&mut again, at);
                assert!(again == bytes, "the record at {at}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 7, "{seen} records");
}

#[test]
fn records_that_were_changed_exchanged_or_replayed_with_right_sums_are_refused() {
    let (world, state) = small(seed(), None);
    let all = segments(&world);
    for (path, bytes) in &all {
        let found = records(bytes);
        for &(at, len) in found.iter().filter(|(at, _)| bytes[*at] <= 3) {
            // A byte of the payload.
            for place in (0..len).step_by(7) {
                let mut bad = bytes.clone();
                bad[at + 32 + place] ^= 0x10;
                resum_if_sound(&mut bad, at, len);
                let changed = copy(&world);
                changed.disk.put_contents(path, bad);
                assert_refused(
                    &changed,
                    &state,
                    &format!("byte {place} of the record at {at} of {}", path.display()),
                );
            }
            // The payload of another record, of this or any other segment, as long or cut to be.
            for (other_path, other) in &all {
                for &(from, other_len) in &records(other) {
                    if (other_path, from) == (path, at) || other_len < len || other[from] != bytes[at] {
                        continue;
                    }
                    let mut bad = bytes.clone();
                    bad[at + 32..at + 32 + len].copy_from_slice(&other[from + 32..from + 32 + len]);
                    resum_if_sound(&mut bad, at, len);
                    let changed = copy(&world);
                    changed.disk.put_contents(path, bad);
                    assert_refused(
                        &changed,
                        &state,
                        &format!("{from} instead of {at} of {}", path.display()),
                    );
                }
            }
        }
    }
}

#[test]
fn chunks_of_a_body_cannot_be_exchanged_or_cut_off() {
    let world = World::new(seed() | SEALED, None);
    let store = world.open().unwrap();
    let bucket = store.create_bucket("a-bucket").unwrap();
    let body: Vec<u8> = (0..20_480u32).map(|n| (n / 4096) as u8 + b'a').collect();
    bucket.put("body", body).unwrap();
    let state = observe(&store).unwrap();
    store.close().unwrap();
    let bulk =
        segments(&world).into_iter().find(|(path, _)| path.to_string_lossy().contains("bulk")).unwrap();
    let (path, bytes) = bulk;
    let (at, _) = records(&bytes)[0];
    let chunk = 4096 + 16;
    for (one, other) in [(0, 1), (1, 2), (0, 4), (3, 4)] {
        let mut bad = bytes.clone();
        let (one, other) = (at + 32 + one * chunk, at + 32 + other * chunk);
        bad[one..one + chunk].copy_from_slice(&bytes[other..other + chunk]);
        bad[other..other + chunk].copy_from_slice(&bytes[one..one + chunk]);
        resum(&mut bad, at);
        let changed = copy(&world);
        changed.disk.put_contents(&path, bad);
        assert_refused(&changed, &state, "exchanged chunks");
    }
    // The record of a body that ends after its first chunks.
    let (_, len) = records(&bytes)[0];
    let owner = usize::from(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]));
    for keep in 1..5 {
        let mut bad = bytes[..at + 32 + keep * chunk].to_vec();
        let table = at + 32 + len - owner - 8 * 5;
        bad.extend_from_slice(&bytes[table..table + 4 * keep]);
        bad.extend_from_slice(&bytes[table + 20..table + 20 + 4 * keep]);
        bad.extend_from_slice(&bytes[at + 32 + len - owner..at + 32 + len]);
        let cut = (bad.len() - at - 32) as u64;
        bad.resize(bytes.len(), 0);
        bad[at + 8..at + 16].copy_from_slice(&cut.to_le_bytes());
        for plain in [keep as u64 * 4096, 20_480] {
            bad[at + 16..at + 24].copy_from_slice(&plain.to_le_bytes());
            resum_if_sound(&mut bad, at, len);
            let changed = copy(&world);
            changed.disk.put_contents(&path, bad.clone());
            assert_refused(&changed, &state, "a body that was cut off");
        }
    }
}

#[test]
fn a_superblock_with_a_right_checksum_and_no_right_key_is_refused() {
    enemy::superblocks_are_forged(seed(), None).unwrap();
}

#[test]
fn bodies_that_change_places_are_refused() {
    enemy::bodies_change_places(seed(), None).unwrap();
}

#[test]
fn pages_from_before_are_refused() {
    for seed in [seed(), seed() + 1] {
        enemy::older_pages_come_back(seed, None).unwrap();
        enemy::older_pages_come_back(seed | SEALED, None).unwrap();
    }
}

#[test]
fn after_a_rotation_the_old_key_opens_no_slot() {
    enemy::no_slot_is_left(seed(), None).unwrap();
}

#[test]
fn a_chunk_that_lies_about_its_length_is_refused() {
    for seed in [seed(), seed() + 1] {
        enemy::chunks_lie_about_their_length(seed, None).unwrap();
    }
}

#[test]
fn pages_and_files_of_another_place_or_store_are_refused() {
    let (world, state) = small(seed(), None);
    let (other, _) = {
        let world = World::new((seed() + 2) | SEALED, None);
        let store = world.open().unwrap();
        store.create_bucket("a-bucket").unwrap().put("inline", b"evil").unwrap();
        store.close().unwrap();
        (world, ())
    };
    for (path, bytes) in files(&world) {
        let evil = other.disk.contents(&path);
        for contents in evil.into_iter().chain(Some(bytes[..bytes.len() / 2].to_vec())) {
            let changed = copy(&world);
            changed.disk.put_contents(&path, contents);
            match changed.open() {
                // A superblock of another store, whole, is another store: one to which nothing here belongs.
                Ok(store) if path.ends_with("SUPERBLOCK") => drop(store),
                Ok(store) => {
                    drop(store);
                    assert_refused(&changed, &state, &path.display().to_string());
                }
                Err(_) => {}
            }
        }
    }
    let path = Path::new(DIR).join("index.tree");
    let pages = world.disk.contents(&path).unwrap();
    let page = 4096 + 40;
    for one in 0..pages.len() / page {
        for from in (0..pages.len() / page).filter(|from| *from != one).step_by(effort::of(7, 1)) {
            let mut bad = pages.clone();
            bad[one * page..(one + 1) * page].copy_from_slice(&pages[from * page..(from + 1) * page]);
            let changed = copy(&world);
            changed.disk.put_contents(&path, bad);
            assert_refused(&changed, &state, "a page in the place of another");
        }
    }
}

/// Whoever puts a plain segment into a sealed store, or clears the bit in a header, is not believed.
#[test]
fn a_segment_that_says_it_is_not_sealed_is_refused() {
    let (world, state) = small(seed(), None);
    for (path, bytes) in segments(&world) {
        for coding in [0, 1] {
            let mut bad = bytes.clone();
            bad[15] = coding;
            let sum = crc(&bad[..124]);
            bad[124..128].copy_from_slice(&sum.to_le_bytes());
            let changed = copy(&world);
            changed.disk.put_contents(&path, bad);
            assert_refused(&changed, &state, &format!("{} with coding {coding}", path.display()));
        }
    }
}

/// Wherever a rotation is cut, one of the two keys opens the store, and all of it is there.
#[test]
fn a_rotation_is_cut_everywhere() {
    let next = || StaticKey::new([0x44; 32]);
    let opened = |world: &World, key: StaticKey| {
        Store::builder(DIR).vfs(world.disk.vfs()).settings(world.settings.clone()).key_provider(key).open()
    };
    let mut ends = [0, 0];
    for at in 0..40 {
        let (world, state) = small(seed(), None);
        let store = world.open().unwrap();
        let before = world.disk.operations();
        world.disk.fail_at(before + at, Fault::PowerCut);
        let rotated = store.rotate_key(next());
        for policy in [CutPolicy::DropUnsynced, CutPolicy::Torn(at), CutPolicy::KeepAll] {
            let after = world.restart(policy);
            let with_old = opened(&after.with(after.disk.after_kill()), key());
            let with_new = opened(&after, next());
            assert_ne!(with_old.is_ok(), with_new.is_ok(), "cut at {at}");
            if rotated.is_ok() {
                assert_eq!(with_old.as_ref().unwrap_err().kind(), ErrorKind::Denied);
            }
            ends[usize::from(with_new.is_ok())] += 1;
            let store = with_old.or(with_new).unwrap();
            assert_eq!(observe(&store).unwrap(), state, "cut at {at}");
            verify(&store).unwrap();
        }
    }
    assert!(ends.iter().all(|count| *count > 0), "{ends:?}");
}

/// Two copies of a store that go on from the same bytes with the same random numbers, at different times or with different
/// bytes, use no nonce twice. (The world sees to that for each of the openings.)
#[test]
fn nonces_of_crashed_and_copied_stores_are_never_used_twice() {
    let script: Script = scripts::overwrite_and_relocate();
    let (world, _) = calm(&script, seed() | SEALED, None).unwrap();
    assert!(world.nonces() > 20, "{} nonces", world.nonces());
    let base = world.disk.after_kill();
    for round in 0..20 {
        let twin = world.with(base.after_kill());
        let store = twin.open().unwrap();
        let bucket = store.create_bucket("twin").unwrap();
        for n in 0..20 {
            bucket.put(&format!("k{n}"), vec![round; 5000 * (n % 3) + 100]).unwrap();
        }
        store.checkpoint().unwrap();
    }
    println!("{} nonces", world.nonces());
}
