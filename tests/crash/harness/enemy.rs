//! The enemy: whoever can write to the directory, knows the format and makes every checksum right, and has no key.

use std::path::{Path, PathBuf};

use ossicle::testing::Planted;
use ossicle::{CompactOptions, ErrorKind, PutOptions, SalvageOptions, StaticKey, StorageClass, Store};

use super::Verdict;
use super::damage::{Found, copy, files, survey};
use super::model::State;
use super::world::{DIR, SEALED, World, key, observe};

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

/// The checksum of bytes.
pub fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn seed_of(segment: &[u8]) -> u32 {
    crc(&[&segment[24..40], &segment[16..24], &segment[40..48]].concat())
}

/// Eight bytes as a number.
pub fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The records of a segment: where they start, and the length of their payload.
pub fn records(segment: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), 128);
    while at + 32 <= segment.len() && segment[at] != 0 {
        let len = word(segment, at + 8) as usize;
        found.push((at, len));
        at = (at + 32 + len).next_multiple_of(8);
    }
    found
}

/// Makes all sums of the record at `at` right.
pub fn resum(segment: &mut [u8], at: usize) {
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

/// The segment files of a world, with their bytes.
pub fn segments(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let of = |(path, _): &(PathBuf, Vec<u8>)| path.extension().is_some_and(|end| end == "seg");
    files(world).into_iter().filter(of).collect()
}

/// The table of a blob may lead anywhere once it is changed; then the enemy leaves the sums as they are.
pub fn resum_if_sound(segment: &mut [u8], at: usize, len: usize) {
    let before = segment[at..at + 32 + len].to_vec();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        resum(segment, at);
    }));
    if done.is_err() {
        segment[at..at + 32 + len].copy_from_slice(&before);
    }
}
/// A small store that was closed in peace, with its index in the tree and a tail of log behind it.
pub fn small(seed: u64, mistake: Option<Planted>) -> (World, State) {
    let mut world = World::new(seed | SEALED, mistake);
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

/// The object that was written last.
const LAST: &str = "last";

/// What a reader makes of it must be what was there before, or an error; never something else.
pub fn refuse(world: &World, state: &State) -> Verdict {
    let mut older = state.clone();
    older.buckets.get_mut("a-bucket").unwrap().remove(LAST);
    survey(world, &[state.clone(), older]).map(drop)
}

/// As [`refuse`], for tests.
pub fn assert_refused(world: &World, state: &State, what: &str) {
    refuse(world, state).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
}

/// Bodies of the same length change places, with all that belongs to them.
pub fn bodies_change_places(seed: u64, mistake: Option<Planted>) -> Verdict {
    let world = World::new(seed | SEALED, mistake);
    let told = |error: ossicle::Error| error.to_string();
    let store = world.open().map_err(told)?;
    let bucket = store.create_bucket("a-bucket").map_err(told)?;
    for (name, byte) in [("one", 1), ("two", 2), (LAST, 3)] {
        bucket.put(name, vec![byte; 9000]).map_err(told)?;
    }
    let state = observe(&store)?;
    store.close().map_err(told)?;
    drop((bucket, store));
    for (path, bytes) in segments(&world) {
        let found: Vec<_> = records(&bytes).into_iter().filter(|(at, _)| bytes[*at] == 3).collect();
        for &(one, len) in &found {
            for &(other, _) in found.iter().filter(|(other, other_len)| *other > one && *other_len == len) {
                let mut bad = bytes.clone();
                bad[one..one + 32 + len].copy_from_slice(&bytes[other..other + 32 + len]);
                bad[other..other + 32 + len].copy_from_slice(&bytes[one..one + 32 + len]);
                resum(&mut bad, one);
                resum(&mut bad, other);
                let changed = copy(&world);
                changed.disk.put_contents(&path, bad);
                refuse(&changed, &state)
                    .map_err(|wrong| format!("{one} and {other} changed places: {wrong}"))?;
            }
        }
    }
    Ok(())
}

/// Pages of the index as they were before, in the place of those that were written over them.
pub fn older_pages_come_back(seed: u64, mistake: Option<Planted>) -> Verdict {
    let told = |error: ossicle::Error| error.to_string();
    let world = World::new(seed, mistake);
    let store = world.open().map_err(told)?;
    let bucket = store.create_bucket("a-bucket").map_err(told)?;
    let path = Path::new(DIR).join("index.tree");
    let mut before = Vec::new();
    for round in 0..6u8 {
        for number in 0..30 {
            let options = PutOptions::new().metadata("note", "value".repeat(40));
            bucket.put_with(&format!("k{number}"), [round; 50], options).map_err(told)?;
        }
        store.checkpoint().map_err(told)?;
        before.push(world.disk.contents(&path).unwrap_or_default());
    }
    bucket.put(LAST, b"last").map_err(told)?;
    let state = observe(&store)?;
    store.close().map_err(told)?;
    drop((bucket, store));
    let now = world.disk.contents(&path).unwrap_or_default();
    let page = if world.sealed { 4096 + 40 } else { 4096 };
    for old in before {
        for at in (0..old.len().min(now.len()) / page * page).step_by(page) {
            if old[at..at + page] != now[at..at + page] {
                let mut bad = now.clone();
                bad[at..at + page].copy_from_slice(&old[at..at + page]);
                let changed = copy(&world);
                changed.disk.put_contents(&path, bad);
                refuse(&changed, &state).map_err(|wrong| format!("an older page {}: {wrong}", at / page))?;
            }
        }
    }
    Ok(())
}

/// After a rotation no slot of the superblock can be opened with the old key, if it were the only one.
pub fn no_slot_is_left(seed: u64, mistake: Option<Planted>) -> Verdict {
    let told = |error: ossicle::Error| error.to_string();
    let (world, _) = small(seed, mistake);
    let store = world.open().map_err(told)?;
    store.rotate_key(StaticKey::new([0x44; 32])).map_err(told)?;
    let path = Path::new(DIR).join("SUPERBLOCK");
    let bytes = world.disk.contents(&path).unwrap_or_default();
    for slot in 0..4 {
        let mut only = vec![0; bytes.len()];
        only[slot * 4096..(slot + 1) * 4096].copy_from_slice(&bytes[slot * 4096..(slot + 1) * 4096]);
        let changed = copy(&world);
        changed.disk.put_contents(&path, only);
        let options = SalvageOptions::new().vfs(changed.disk.vfs()).key_provider(key());
        if Store::salvage_with(DIR, "/saved", options).is_ok() {
            return Err(format!("the old key opens slot {slot}"));
        }
    }
    Ok(())
}

/// A superblock that was changed by somebody without the key, with its checksum made right.
pub fn superblocks_are_forged(seed: u64, mistake: Option<Planted>) -> Verdict {
    let (world, state) = small(seed, mistake);
    let path = Path::new(DIR).join("SUPERBLOCK");
    let bytes = world.disk.contents(&path).unwrap_or_default();
    let slots = || (0..4).filter(|slot| bytes[slot * 4096] != 0);
    let newest = slots().max_by_key(|slot| word(&bytes, slot * 4096 + 16)).unwrap_or(0);
    for at in (16..142).chain((512..1100).step_by(5)).chain(4060..4092) {
        let mut bad = bytes.clone();
        let slot = &mut bad[newest * 4096..(newest + 1) * 4096];
        slot[at] ^= 1;
        let sum = crc(&slot[..4092]);
        slot[4092..].copy_from_slice(&sum.to_le_bytes());
        let changed = copy(&world);
        changed.disk.put_contents(&path, bad);
        match changed.open() {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Corrupt | ErrorKind::Denied | ErrorKind::Unsupported
                ) => {}
            Err(error) => return Err(format!("byte {at} of the superblock: {error}")),
            // It says impossible things, and the slot before it counts.
            Ok(store) if observe(&store)? == state => {}
            Ok(_) => return Err(format!("byte {at} of the superblock makes another store of it")),
        }
    }
    Ok(())
}

/// A chunk that says of itself that it is longer, or shorter, than its body says.
pub fn chunks_lie_about_their_length(seed: u64, mistake: Option<Planted>) -> Verdict {
    let told = |error: ossicle::Error| error.to_string();
    let world = World::new(seed, mistake);
    let store = world.open().map_err(told)?;
    let bucket = store.create_bucket("a-bucket").map_err(told)?;
    let cool = PutOptions::new().storage_class(StorageClass::InfrequentAccess);
    bucket.put_with("body", vec![7; 100_000], cool).map_err(told)?;
    bucket.put(LAST, b"last").map_err(told)?;
    store.compact(CompactOptions::new()).map_err(told)?;
    let state = observe(&store)?;
    store.close().map_err(told)?;
    drop((bucket, store));
    for (path, bytes) in segments(&world).into_iter().filter(|(path, _)| path.starts_with("/store/bulk/1")) {
        for (at, len) in records(&bytes).into_iter().filter(|(at, _)| bytes[*at] == 3) {
            for plain in [100_000usize, 0, 1, 99_999, 100_001, 1 << 20, 32 << 20] {
                // One chunk, stored as another frame of zstd, and what stands behind it as it was.
                let stored = word(&bytes, at + 8) as usize
                    - 8
                    - usize::from(bytes[at + 2])
                    - (usize::from(bytes[at + 3]) << 8);
                let frame = zstd::bulk::compress(&vec![7; plain], 1).map_err(|error| error.to_string())?;
                let mut bad = bytes[..at + 32].to_vec();
                bad.extend_from_slice(&frame);
                bad.extend_from_slice(&(frame.len() as u32 | 1 << 31).to_le_bytes());
                bad.extend_from_slice(&bytes[at + 32 + stored + 4..at + 32 + len]);
                let cut = (bad.len() - at - 32) as u64;
                bad[at + 8..at + 16].copy_from_slice(&cut.to_le_bytes());
                bad.resize(bytes.len(), 0);
                resum(&mut bad, at);
                let changed = copy(&world);
                changed.disk.put_contents(&path, bad);
                let wrong = |wrong| format!("a chunk of {plain} bytes: {wrong}");
                refuse(&changed, &state).map_err(wrong)?;
                // The enemy knows how it is done: what says the right length is read.
                let found = survey(&changed, std::slice::from_ref(&state)).map_err(wrong)?;
                if (found == Found::Harmless) != (plain == 100_000) {
                    return Err(wrong(format!("{found:?}")));
                }
            }
        }
    }
    Ok(())
}
