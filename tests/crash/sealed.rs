//! Encrypted stores under everything that plain ones are tried with, and under an enemy who makes every checksum right.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ossicle::testing::{CutPolicy, Fault};
use ossicle::{ErrorKind, PutOptions, StaticKey, Store};

use crate::harness::damage::{copy, files, survey};
use crate::harness::model::State;
use crate::harness::run::{Weather, calm, run};
use crate::harness::script::Script;
use crate::harness::world::{DIR, SEALED, World, key, observe, verify};
use crate::harness::{cuts, errors, full, nested, places, scripts, seed};

#[test]
fn torn_writes() {
    for script in [scripts::first_steps(), scripts::streamed_buffered()] {
        cuts::every_call_torn(&script, seed() | SEALED, None).unwrap();
    }
}

#[test]
fn failing_calls_full_disks_and_cut_recoveries() {
    let script = scripts::overwrite_and_relocate();
    errors::some_changes(&script, seed() | SEALED, places(40), None).unwrap();
    full::every_capacity(&scripts::first_steps(), seed() | SEALED, 16 << 10, None).unwrap();
    nested::every_recovery(&script, seed() | SEALED, 11, 1, None).unwrap();
}

/// What of a state must never be seen in a file: names and values that are long enough not to be there by chance.
fn secrets(states: &[&State]) -> BTreeSet<Vec<u8>> {
    let mut secrets = BTreeSet::new();
    for state in states {
        for (bucket, objects) in &state.buckets {
            secrets.insert(bucket.as_bytes().to_vec());
            for (key, thing) in objects {
                secrets.insert(key.as_bytes().to_vec());
                secrets.insert(thing.body[..thing.body.len().min(16)].to_vec());
                secrets.insert(thing.body[thing.body.len() / 2..].iter().take(16).copied().collect());
                secrets.extend(
                    thing.metadata.values().map(|value| value.as_bytes()[..value.len().min(16)].to_vec()),
                );
            }
        }
    }
    secrets.retain(|secret| secret.len() >= 6);
    secrets
}

fn tells(world: &World, secrets: &BTreeSet<Vec<u8>>) -> Option<String> {
    let heads: BTreeSet<[u8; 6]> = secrets.iter().map(|secret| *secret.first_chunk().unwrap()).collect();
    for path in world.disk.paths() {
        let bytes = world.disk.contents(&path).unwrap_or_default();
        for (at, window) in bytes.windows(6).enumerate() {
            if heads.contains(window)
                && let Some(secret) = secrets.iter().find(|secret| bytes[at..].starts_with(secret))
            {
                return Some(format!("{secret:?} stands at byte {at} of {}", path.display()));
            }
        }
    }
    None
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
        for at in (0..=operations).step_by((operations / 24).max(1) as usize) {
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

/// A small store that was closed in peace, with its index in the tree and a tail of log behind it.
fn small() -> (World, State) {
    let mut world = World::new(seed() | SEALED, None);
    world.settings.packed_max = 600;
    world.settings.segment_size = 1 << 20;
    let store = world.open().unwrap();
    let bucket = store.create_bucket("a-bucket").unwrap();
    bucket.put("inline", b"tiny").unwrap();
    bucket.put("packed", [b'p'; 500]).unwrap();
    store.checkpoint().unwrap();
    bucket.put_with("noted", [b'n'; 500], PutOptions::new().metadata("note", "value")).unwrap();
    bucket.put("streamed", [b's'; 5000]).unwrap();
    // Of what was written last, damage cannot be told from a torn tail.
    bucket.put(LAST, b"last").unwrap();
    let state = observe(&store).unwrap();
    let killed = copy(&world);
    store.close().unwrap();
    (killed, state)
}

const LAST: &str = "last";

/// Every how many bytes one is flipped: all with `OSSICLE_CRASH_FLIPS=1`.
fn stride() -> usize {
    std::env::var("OSSICLE_CRASH_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(13)
}

#[test]
fn every_flipped_byte_of_a_small_store_is_found_or_does_not_matter() {
    let (world, state) = small();
    let mut flips = 0;
    for (path, bytes) in files(&world) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 40).min(bytes.len()));
        for at in (0..used).step_by(stride()) {
            let damaged = copy(&world);
            assert!(damaged.disk.flip(&path, at as u64, 1 << (at % 8)));
            flips += 1;
            assert_refused(&damaged, &state, &format!("byte {at} of {}", path.display()));
        }
    }
    println!("{flips} flips");
}

// The enemy: whoever can write to the directory, knows the format, and has no key -------------------------------

/// The sum that knows its place, as docs/FORMAT.md has it.
fn place(seed: u32, offset: u64, index: u64) -> u32 {
    let mut x = u64::from(seed)
        ^ offset.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x ^ (x >> 32)) as u32
}

fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn seed_of(segment: &[u8]) -> u32 {
    crc(&[&segment[24..40], &segment[16..24], &segment[40..48]].concat())
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The records of a segment: where they start, and the length of their payload.
fn records(segment: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), 128);
    while at + 32 <= segment.len() && segment[at] != 0 {
        let len = word(segment, at + 8) as usize;
        found.push((at, len));
        at = (at + 32 + len).next_multiple_of(8);
    }
    found
}

/// Makes all sums of the record at `at` right.
fn resum(segment: &mut [u8], at: usize) {
    let (seed, len) = (seed_of(segment), word(segment, at + 8) as usize);
    let offset = at as u64;
    if segment[at] == 3 {
        // A coded blob: the sums of the chunks, then what stands behind the chunks.
        let plain = word(segment, at + 16);
        let log2 = u32::from(segment[14]);
        let chunks = plain.div_ceil(1 << log2) as usize;
        let owner = usize::from(u16::from_le_bytes([segment[at + 2], segment[at + 3]]));
        let sums = at + 32 + len - owner - 4 * chunks;
        let table = sums - 4 * chunks;
        let mut from = at + 32;
        for index in 0..chunks {
            let stored =
                u32::from_le_bytes(segment[table + 4 * index..][..4].try_into().unwrap()) & !(1 << 31);
            let sum = crc(&segment[from..from + stored as usize]) ^ place(seed, offset, index as u64);
            segment[sums + 4 * index..][..4].copy_from_slice(&sum.to_le_bytes());
            from += stored as usize;
        }
        let sum = crc(&segment[table..at + 32 + len]) ^ place(seed, offset, u64::MAX);
        segment[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    } else {
        let sum = crc(&segment[at + 32..at + 32 + len]) ^ place(seed, offset, u64::MAX);
        segment[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = crc(&segment[at..at + 28]) ^ place(seed, offset, u64::MAX - 1);
    segment[at + 28..at + 32].copy_from_slice(&sum.to_le_bytes());
}

/// What a reader makes of it must be what was there before, or an error; never something else.
fn assert_refused(world: &World, state: &State, what: &str) {
    let mut older = state.clone();
    older.buckets.get_mut("a-bucket").unwrap().remove(LAST);
    survey(world, &[state.clone(), older]).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
}

fn segments(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let of = |(path, _): &(PathBuf, Vec<u8>)| path.extension().is_some_and(|end| end == "seg");
    files(world).into_iter().filter(of).collect()
}

#[test]
fn the_enemy_makes_the_sums_of_unchanged_records_as_they_are() {
    let (world, _) = small();
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
    let (world, state) = small();
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

/// The table of a blob may lead anywhere once it is changed; then the enemy leaves the sums as they are.
fn resum_if_sound(segment: &mut [u8], at: usize, len: usize) {
    let before = segment[at..at + 32 + len].to_vec();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        resum(segment, at);
    }));
    if done.is_err() {
        segment[at..at + 32 + len].copy_from_slice(&before);
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
    let (world, state) = small();
    let path = Path::new(DIR).join("SUPERBLOCK");
    let bytes = world.disk.contents(&path).unwrap();
    let slots = || (0..4).filter(|slot| bytes[slot * 4096] != 0);
    let newest = slots().max_by_key(|slot| word(&bytes, slot * 4096 + 16)).unwrap();
    for at in (16..142).chain((512..1100).step_by(5)).chain(4060..4092) {
        let mut bad = bytes.clone();
        let slot = &mut bad[newest * 4096..(newest + 1) * 4096];
        slot[at] ^= 1;
        let sum = crc(&slot[..4092]);
        slot[4092..].copy_from_slice(&sum.to_le_bytes());
        let changed = copy(&world);
        changed.disk.put_contents(&path, bad);
        match changed.open() {
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Denied | ErrorKind::Unsupported),
                "byte {at}: {error}"
            ),
            // It says impossible things, and the slot before it counts.
            Ok(store) => {
                assert_eq!(observe(&store).unwrap(), state, "byte {at}");
            }
        }
    }
}

#[test]
fn pages_and_files_of_another_place_or_store_are_refused() {
    let (world, state) = small();
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
        for from in (0..pages.len() / page).filter(|from| *from != one) {
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
    let (world, state) = small();
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
        let (world, state) = small();
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
