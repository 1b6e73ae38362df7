//! Proofs that each fault and each way to lose power really bites, and bites no more than it says.

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::disk::*;
use super::*;
use crate::env::site::Site;
use crate::env::vfs::{File, LockMode, OpenMode, Vfs};

const SITE: Site = Site::LOG_APPEND;

const SYNC: Site = Site::LOG_SYNC;

/// A disk with the durable file `/f`, open for writing.
fn disk_with(bytes: &[u8]) -> (FaultyDisk, Arc<dyn File>) {
    let disk = FaultyDisk::new(5);
    disk.put_contents(Path::new("/f"), bytes.to_vec());
    let file = disk.open(Path::new("/f"), OpenMode::ReadWrite, SITE).unwrap();
    (disk, file)
}

fn create(disk: &FaultyDisk, path: &str) -> Arc<dyn File> {
    disk.open(Path::new(path), OpenMode::CreateNew, SITE).unwrap()
}

fn write(file: &dyn File, bytes: &[u8], offset: u64) -> Result<(), ErrorKind> {
    file.write_at(&[IoSlice::new(bytes)], offset, SITE).map_err(|error| error.kind())
}

fn after(disk: &FaultyDisk, policy: CutPolicy, path: &str) -> Option<Vec<u8>> {
    disk.restart(policy).contents(Path::new(path))
}

fn live(disk: &FaultyDisk) -> Vec<u8> {
    disk.contents(Path::new("/f")).unwrap()
}

fn wrong_bits(one: &[u8], other: &[u8]) -> u32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn hits(disk: &FaultyDisk) -> Vec<(&'static str, &'static str, u64)> {
    disk.hits().into_iter().map(|hit| (hit.site.0, hit.fault, hit.count)).collect()
}

#[test]
fn unsynced_bytes_are_lost_and_synced_ones_are_not() {
    let (disk, file) = disk_with(b"....");
    write(&*file, b"AB", 0).unwrap();
    file.set_len(6, SITE).unwrap();
    file.sync_data(SYNC).unwrap();
    write(&*file, b"ab", 0).unwrap();
    file.set_len(1, SITE).unwrap();
    file.allocate(9000, SITE).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"AB..\0\0");
    let kept = after(&disk, CutPolicy::KeepAll, "/f").unwrap();
    assert_eq!((kept.len(), &kept[..3]), (9000, &b"a\0\0"[..]));
}

#[test]
fn a_new_name_is_lost_until_its_directory_is_synced() {
    let disk = FaultyDisk::new(0);
    let file = create(&disk, "/f");
    write(&*file, b"data", 0).unwrap();
    file.sync_data(SYNC).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f"), None);
    assert_eq!(after(&disk, CutPolicy::KeepAll, "/f").unwrap(), b"data");
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    write(&*file, b"DATA", 0).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"data");
}

#[test]
fn a_removed_name_comes_back_until_its_directory_is_synced() {
    let (disk, file) = disk_with(b"old");
    disk.remove(Path::new("/f"), SITE).unwrap();
    write(&*create(&disk, "/f"), b"new", 0).unwrap();
    assert_eq!(live(&disk), b"new");
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"old");
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"");
    drop(file);
}

#[test]
fn a_new_directory_is_lost_with_all_below_it_until_its_parent_is_synced() {
    let disk = FaultyDisk::new(0);
    disk.create_dir(Path::new("/a/b"), SITE).unwrap();
    create(&disk, "/a/b/f");
    disk.sync_dir(Path::new("/a/b"), SYNC).unwrap();
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    let lost = disk.restart(CutPolicy::DropUnsynced);
    assert!(lost.paths().is_empty());
    assert!(lost.list(Path::new("/a"), SITE).unwrap().is_empty());
    assert_eq!(lost.list(Path::new("/a/b"), SITE).unwrap_err().kind(), ErrorKind::NotFound);
    disk.sync_dir(Path::new("/a"), SYNC).unwrap();
    assert_eq!(disk.restart(CutPolicy::DropUnsynced).paths(), [Path::new("/a/b/f")]);
}

/// Ten changes of every kind; which of them reached the disk can be told from what is there.
fn ten_changes() -> FaultyDisk {
    let (disk, file) = disk_with(&[0; 4]);
    disk.put_contents(Path::new("/gone"), vec![]);
    for i in 0..4 {
        write(&*file, &[1], i).unwrap();
        disk.create_dir(&Path::new("/dirs").with_file_name(format!("d{i}")), SITE).unwrap();
    }
    disk.remove(Path::new("/gone"), SITE).unwrap();
    file.set_len(5, SITE).unwrap();
    disk
}

fn reached(disk: &FaultyDisk) -> Vec<bool> {
    let bytes = live(disk);
    let is_there = |name: &str| disk.list(Path::new(name), SITE).is_ok();
    let mut reached = Vec::new();
    for (i, byte) in bytes.iter().take(4).enumerate() {
        reached.push(*byte == 1);
        reached.push(is_there(&format!("/d{i}")));
    }
    reached.push(disk.contents(Path::new("/gone")).is_none());
    reached.push(bytes.len() == 5);
    reached
}

#[test]
fn a_prefix_is_a_prefix_of_all_changes_and_every_prefix_happens() {
    let disk = ten_changes();
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let reached = reached(&disk.restart(CutPolicy::Prefix(seed)));
        let kept = reached.iter().take_while(|reached| **reached).count();
        assert!(!reached[kept..].contains(&true), "seed {seed}: {reached:?}");
        lengths.insert(kept);
    }
    assert_eq!(lengths, (0..=10).collect());
}

#[test]
fn a_subset_is_any_subset() {
    let disk = ten_changes();
    let mut states = BTreeSet::new();
    for seed in 0..6000 {
        states.insert(reached(&disk.restart(CutPolicy::Subset(seed))));
    }
    // Each of the 1024 subsets is missed by 6000 draws with a chance of 0.3 %.
    assert!(states.len() > 1000, "only {} of 1024 subsets", states.len());
}

#[test]
fn the_same_seed_cuts_the_same() {
    let disk = ten_changes();
    let (file, bytes) = (disk.open(Path::new("/f"), OpenMode::ReadWrite, SITE).unwrap(), [1; 5000]);
    write(&*file, &bytes, 0).unwrap();
    for policy in [CutPolicy::Prefix(3), CutPolicy::Subset(3), CutPolicy::Torn(3)] {
        let (one, other) = (disk.restart(policy), disk.restart(policy));
        assert_eq!(one.paths(), other.paths(), "{policy:?}");
        assert_eq!(live(&one), live(&other), "{policy:?}");
    }
}

#[test]
fn a_torn_write_keeps_or_drops_whole_sectors() {
    let (disk, file) = disk_with(&[0; 4096]);
    write(&*file, &[1; 3000], 100).unwrap();
    let mut states = BTreeSet::new();
    for seed in 0..300 {
        let bytes = after(&disk, CutPolicy::Torn(seed), "/f").unwrap();
        assert_eq!(bytes.len(), 4096);
        let mut sectors = Vec::new();
        for (i, sector) in bytes.chunks(512).enumerate() {
            let written = (i * 512).max(100)..(i * 512 + 512).min(3100);
            let ones = sector.iter().filter(|byte| **byte == 1).count();
            assert!(ones == 0 || ones == written.len(), "seed {seed}: sector {i} is torn inside");
            sectors.push(ones > 0);
        }
        states.insert(sectors);
    }
    let whole = [true, true, true, true, true, true, true, false];
    assert!(states.contains(&whole[..]) && states.contains(&[false; 8][..]));
    assert!(states.len() > 50, "only {} mixtures", states.len());
}

#[test]
fn a_torn_growth_may_leave_length_without_bytes_or_with_wrong_ones() {
    let (disk, file) = disk_with(&[7; 1024]);
    write(&*file, &[1; 1024], 1024).unwrap();
    let (mut short, mut zeros, mut stale, mut noise) = (0, 0, 0, 0);
    for seed in 0..300 {
        let bytes = after(&disk, CutPolicy::Torn(seed), "/f").unwrap();
        assert_eq!(bytes[..1024], [7; 1024], "seed {seed}: old bytes are not touched");
        match bytes.get(1024..) {
            Some([]) => short += 1,
            Some(new) => {
                assert_eq!(new.len(), 1024, "seed {seed}");
                zeros += usize::from(new.contains(&0));
                stale += usize::from(new.contains(&7) && !new.contains(&9));
                noise += usize::from(new.contains(&9));
            }
            None => unreachable!(),
        }
    }
    assert!(short > 0 && zeros > 0 && stale > 0 && noise > 0, "{short} {zeros} {stale} {noise}");
}

#[test]
fn a_torn_growth_may_leave_new_bytes_without_the_length() {
    let (disk, file) = disk_with(&[7; 1024]);
    write(&*file, &[1; 1024], 512).unwrap();
    let is_short = |bytes: &[u8]| bytes.len() == 1024 && bytes[512..] == [1; 512];
    assert!((0..100).any(|seed| is_short(&after(&disk, CutPolicy::Torn(seed), "/f").unwrap())));
}

#[test]
fn what_a_failed_sync_lost_no_later_sync_brings_back() {
    let (disk, file) = disk_with(b"....");
    write(&*file, b"A", 0).unwrap();
    disk.fail_site(SYNC, 0, Fault::Error(ErrorKind::Other));
    assert!(file.sync_data(SYNC).is_err());
    assert_eq!(live(&disk), b"A...", "it stays visible");
    write(&*file, b"B", 1).unwrap();
    file.sync_data(SYNC).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b".B..");
    assert_eq!(after(&disk, CutPolicy::Prefix(1), "/f").unwrap(), b".B..");
    assert_eq!(after(&disk, CutPolicy::KeepAll, "/f").unwrap(), b"AB..", "a killed process loses nothing");
}

#[test]
fn what_a_failed_sync_of_a_directory_lost_no_later_one_brings_back() {
    let disk = FaultyDisk::new(0);
    create(&disk, "/f");
    disk.fail_site(SYNC, 0, Fault::Error(ErrorKind::Other));
    assert!(disk.sync_dir(Path::new("/"), SYNC).is_err());
    create(&disk, "/g");
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    assert_eq!(disk.restart(CutPolicy::DropUnsynced).paths(), [Path::new("/g")]);
    assert_eq!(disk.paths(), [Path::new("/f"), Path::new("/g")]);
}

#[test]
fn a_lying_sync_says_yes_and_an_honest_one_later_mends_it() {
    let (disk, file) = disk_with(b"....");
    write(&*file, b"A", 0).unwrap();
    create(&disk, "/g");
    disk.fail_site(SYNC, 0, Fault::LyingSync);
    disk.fail_site(SYNC, 1, Fault::LyingSync);
    file.sync_data(SYNC).unwrap();
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"....");
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/g"), None);
    assert_eq!(hits(&disk), [("log.sync", "lying-sync", 2)]);
    file.sync_data(SYNC).unwrap();
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"A...");
    assert!(after(&disk, CutPolicy::DropUnsynced, "/g").is_some());
}

#[test]
fn an_error_strikes_once_and_changes_nothing() {
    let (disk, file) = disk_with(b"....");
    disk.fail_at(disk.operations() + 1, Fault::Error(ErrorKind::TimedOut));
    write(&*file, b"A", 0).unwrap();
    assert_eq!(write(&*file, b"B", 1), Err(ErrorKind::TimedOut));
    write(&*file, b"C", 2).unwrap();
    assert_eq!(live(&disk), b"A.C.");
    assert_eq!(hits(&disk), [("log.append", "error", 1)]);
}

#[test]
fn a_sticky_error_stays_with_its_kind_of_call_until_cleared() {
    let (disk, file) = disk_with(b"....");
    disk.fail_at(disk.operations(), Fault::Sticky(ErrorKind::TimedOut));
    assert_eq!(write(&*file, b"A", 0), Err(ErrorKind::TimedOut));
    file.sync_data(SYNC).unwrap();
    assert_eq!(write(&*file, b"A", 0), Err(ErrorKind::TimedOut));
    assert_eq!(hits(&disk), [("log.append", "sticky", 2)]);
    disk.clear_faults();
    write(&*file, b"A", 0).unwrap();
}

#[test]
fn a_torn_write_leaves_a_part_and_an_error() {
    let mut lengths = BTreeSet::new();
    for seed in 0..40 {
        let disk = FaultyDisk::new(seed);
        let file = create(&disk, "/f");
        disk.fail_at(1, Fault::TornWrite);
        assert!(write(&*file, &[1; 2000], 0).is_err());
        let bytes = live(&disk);
        assert!(bytes.len() < 2000 && bytes.iter().all(|byte| *byte == 1));
        lengths.insert(bytes.len());
    }
    assert!(lengths.iter().any(|len| len % 512 != 0) && lengths.len() > 20);
}

#[test]
fn a_lost_write_says_yes_and_does_nothing() {
    let (disk, file) = disk_with(b"....");
    disk.fail_site(SITE, 0, Fault::LostWrite);
    write(&*file, b"A", 0).unwrap();
    assert_eq!(live(&disk), b"....");
    assert_eq!(after(&disk, CutPolicy::KeepAll, "/f").unwrap(), b"....");
    assert_eq!(hits(&disk), [("log.append", "lost-write", 1)]);
}

#[test]
fn one_bit_flips_in_a_write_a_read_or_a_map() {
    let (disk, file) = disk_with(&[0; 5000]);
    disk.fail_site(SITE, 0, Fault::FlipBit);
    write(&*file, &[0; 5000], 0).unwrap();
    assert_eq!(wrong_bits(&live(&disk), &[0; 5000]), 1);

    write(&*file, &[0; 5000], 0).unwrap();
    let mut buf = [0; 5000];
    disk.fail_read_at(disk.reads(), Fault::FlipBit);
    assert_eq!(file.read_at(&mut buf, 0, SITE).unwrap(), 5000);
    assert_eq!(wrong_bits(&buf, &[0; 5000]), 1);
    file.read_at(&mut buf, 0, SITE).unwrap();
    assert_eq!(buf, [0; 5000], "the file itself is well");

    disk.fail_read_at(disk.reads(), Fault::FlipBit);
    let bad = file.map(SITE).unwrap();
    let good = file.map(SITE).unwrap();
    for map_and_bits in [(bad, 1), (good, 0)] {
        let (map, bits) = map_and_bits;
        assert_eq!(wrong_bits(&map.lend(0..5000).unwrap(), &[0; 5000]), bits);
        let one_by_one: Vec<u8> = (0..5000).map(|i| map.lend(i..i + 1).unwrap()[0]).collect();
        assert_eq!(wrong_bits(&one_by_one, &[0; 5000]), bits);
    }
    assert_eq!(hits(&disk), [("log.append", "flip-bit", 3)]);
}

#[test]
fn a_fault_that_does_not_suit_the_call_does_not_strike() {
    let (disk, file) = disk_with(b"....");
    disk.fail_at(disk.operations(), Fault::TornWrite);
    disk.fail_at(disk.operations() + 1, Fault::LyingSync);
    file.sync_data(SYNC).unwrap();
    write(&*file, b"A", 0).unwrap();
    assert!(disk.hits().is_empty());
}

/// A little program of every kind of call; stops at the first error.
fn program(disk: &FaultyDisk) -> std::io::Result<()> {
    let (dir, path) = (Path::new("/d"), Path::new("/d/f"));
    disk.create_dir(dir, SITE)?;
    disk.sync_dir(Path::new("/"), SYNC)?;
    let file = disk.open(path, OpenMode::CreateNew, SITE)?;
    disk.sync_dir(dir, SYNC)?;
    file.allocate(8192, SITE)?;
    file.write_at(&[IoSlice::new(&[1; 3000]), IoSlice::new(&[2; 3000])], 0, SITE)?;
    file.sync_data(SYNC)?;
    file.set_len(4000, SITE)?;
    file.read_at(&mut [0; 10], 5, SITE)?;
    file.map(SITE)?;
    disk.list(dir, SITE)?;
    disk.open(path, OpenMode::Read, SITE)?;
    disk.remove(path, SITE)
}

#[test]
fn power_can_go_at_every_call_and_then_nothing_works() {
    let calm = FaultyDisk::new(1);
    program(&calm).unwrap();
    assert_eq!((calm.operations(), calm.reads()), (9, 4));
    for at in 0..calm.operations() + calm.reads() {
        let disk = FaultyDisk::new(at);
        match at.checked_sub(calm.operations()) {
            None => disk.fail_at(at, Fault::PowerCut),
            Some(read) => disk.fail_read_at(read, Fault::PowerCut),
        }
        assert!(program(&disk).is_err(), "call {at}");
        assert_eq!(disk.hits().len(), 1, "call {at}");
        assert!(program(&disk).is_err(), "call {at}: still dark");
        assert!(disk.list(Path::new("/"), SITE).is_err(), "call {at}: still dark");
        assert!(disk.lock(Path::new("/L"), LockMode::Exclusive, SITE).is_err(), "call {at}: still dark");
        for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll, CutPolicy::Torn(at)] {
            assert!(disk.restart(policy).list(Path::new("/"), SITE).is_ok(), "call {at}: light again");
        }
    }
}

#[test]
fn a_call_cut_by_power_is_done_in_part_or_not_at_all() {
    let mut lengths = BTreeSet::new();
    let mut created = BTreeSet::new();
    for seed in 0..40 {
        let disk = FaultyDisk::new(seed);
        let file = create(&disk, "/f");
        disk.fail_at(1, Fault::PowerCut);
        assert!(write(&*file, &[1; 1000], 0).is_err());
        assert!(file.size().is_err() && file.map(SITE).is_err() && file.sync_data(SYNC).is_err());
        lengths.insert(after(&disk, CutPolicy::KeepAll, "/f").unwrap().len());

        let disk = FaultyDisk::new(seed);
        disk.fail_at(0, Fault::PowerCut);
        assert!(disk.open(Path::new("/f"), OpenMode::CreateNew, SITE).is_err());
        created.insert(after(&disk, CutPolicy::KeepAll, "/f").is_some());
        assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f"), None);
    }
    assert!(lengths.len() > 20 && lengths.iter().all(|len| *len < 1000));
    assert_eq!(created.len(), 2);
}

#[test]
fn a_disk_comes_back_fresh_and_apart() {
    let (disk, file) = disk_with(b"....");
    disk.set_capacity(Some(8192));
    let _held = disk.lock(Path::new("/f"), LockMode::Exclusive, SITE).unwrap();
    write(&*file, b"A", 0).unwrap();
    disk.fail_at(0, Fault::PowerCut);
    disk.power_cut();
    assert!(write(&*file, b"B", 0).is_err());

    let back = disk.restart(CutPolicy::KeepAll);
    assert_eq!((back.operations(), back.reads(), back.used()), (0, 0, 4096));
    assert!(back.hits().is_empty() && back.calls().is_empty());
    assert!(back.lock(Path::new("/f"), LockMode::Exclusive, SITE).is_ok());
    assert_eq!(after(&back, CutPolicy::DropUnsynced, "/f").unwrap(), b"A...", "what survived is durable");
    let file = back.open(Path::new("/f"), OpenMode::ReadWrite, SITE).unwrap();
    write(&*file, b"Z", 3).unwrap();
    assert_eq!((&live(&back)[..], &live(&disk)[..]), (&b"A..Z"[..], &b"A..."[..]));
    assert_eq!(write(&*file, &[0; 9000], 0), Err(ErrorKind::StorageFull), "the capacity is the same");
}

#[test]
fn a_full_disk_takes_what_fits_and_lets_itself_be_emptied() {
    let disk = FaultyDisk::new(0);
    disk.set_capacity(Some(3 * 4096));
    let file = create(&disk, "/f");
    file.set_len(1 << 40, SITE).unwrap();
    assert_eq!(disk.used(), 0, "a hole takes nothing");
    file.set_len(0, SITE).unwrap();
    write(&*file, &[1; 8192], 0).unwrap();
    assert_eq!(write(&*file, &[2; 8192], 6000), Err(ErrorKind::StorageFull));
    assert_eq!((file.size().unwrap(), disk.used()), (12288, 12288), "the part that fits is there");
    assert_eq!(hits(&disk), [("log.append", "storage-full", 1)]);
    write(&*file, &[3; 12288], 0).expect("what has disk can be rewritten");

    let other = create(&disk, "/g");
    assert_eq!(write(&*other, b"x", 0), Err(ErrorKind::StorageFull));
    assert_eq!(other.size().unwrap(), 0);
    disk.remove(Path::new("/f"), SITE).unwrap();
    assert_eq!(disk.used(), 0);
    write(&*file, b"a file without a name is not counted", 20_000).unwrap();
    assert_eq!(disk.used(), 0);

    assert_eq!(other.allocate(4 * 4096, SITE).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!((other.size().unwrap(), disk.used()), (12288, 12288));
    write(&*other, &[1; 12288], 0).expect("allocated blocks can be written");
    disk.set_capacity(Some(4096));
    write(&*other, &[2; 12288], 0).expect("what is taken already stays");
    other.set_len(100, SITE).unwrap();
    assert_eq!(disk.used(), 4096);
    disk.set_capacity(None);
    write(&*other, &[1; 100_000], 0).unwrap();
}

#[test]
fn the_nth_call_of_a_site_is_counted_from_now() {
    let (disk, file) = disk_with(b"....");
    file.sync_data(SYNC).unwrap();
    disk.fail_site(SYNC, 1, Fault::Error(ErrorKind::TimedOut));
    write(&*file, b"A", 0).unwrap();
    file.sync_data(SYNC).unwrap();
    assert!(file.sync_data(SYNC).is_err());
    file.sync_data(SYNC).unwrap();
    assert_eq!(disk.calls(), [(SITE, 2), (SYNC, 4)]);
}

#[test]
fn a_read_fails_by_its_number() {
    let (disk, file) = disk_with(b"....");
    disk.fail_read_at(2, Fault::Error(ErrorKind::TimedOut));
    let mut buf = [0; 4];
    file.read_at(&mut buf, 0, SITE).unwrap();
    write(&*file, b"a write is not a read", 0).unwrap();
    assert_eq!(file.read_at(&mut buf, 0, SITE).unwrap_err().kind(), ErrorKind::TimedOut);
    file.read_at(&mut buf, 0, SITE).unwrap();
}

#[test]
fn equal_runs_have_equal_traces_and_others_do_not() {
    let trace = |byte: u8, offset: u64, path: &str| {
        let disk = FaultyDisk::new(9);
        program(&disk).unwrap();
        write(&*create(&disk, path), &[byte], offset).unwrap();
        disk.trace_hash()
    };
    let first = trace(1, 1, "/x");
    assert_eq!(first, trace(1, 1, "/x"));
    for other in [trace(2, 1, "/x"), trace(1, 2, "/x"), trace(1, 1, "/y")] {
        assert_ne!(first, other);
    }
}

#[test]
fn damage_is_durable_at_once() {
    let (disk, file) = disk_with(b"one.");
    let (f, g) = (Path::new("/f"), Path::new("/deep/er/g"));
    disk.put_contents(g, b"two".to_vec());
    assert_eq!(disk.restart(CutPolicy::DropUnsynced).paths(), [g, f]);

    assert!(disk.flip(f, 3, 0x0e) && !disk.flip(f, 4, 1) && !disk.flip(Path::new("/no"), 0, 1));
    assert_eq!(
        (live(&disk), after(&disk, CutPolicy::DropUnsynced, "/f").unwrap()),
        (b"one ".into(), b"one ".into())
    );

    assert!(disk.swap(f, g));
    assert_eq!((live(&disk), disk.contents(g).unwrap()), (b"two".into(), b"one ".into()));
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"two");

    write(&*file, b"unsynced", 0).unwrap();
    assert!(disk.truncate(f, 2));
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"un");

    assert!(disk.erase(f) && !disk.erase(f));
    assert_eq!(disk.contents(f), None);
    assert_eq!(disk.restart(CutPolicy::DropUnsynced).paths(), [g]);
    assert_eq!(disk.used(), 4096);
    assert_eq!(file.size().unwrap(), 2, "those who have it open keep it");
}

#[test]
fn an_erased_file_does_not_come_back_with_a_sync_of_its_directory() {
    let disk = FaultyDisk::new(0);
    create(&disk, "/f");
    disk.erase(Path::new("/f"));
    disk.sync_dir(Path::new("/"), SYNC).unwrap();
    assert!(disk.restart(CutPolicy::DropUnsynced).paths().is_empty());
}

#[test]
fn allocating_what_is_written_takes_nothing_twice() {
    let (disk, file) = disk_with(&[1; 5000]);
    assert_eq!(disk.used(), 8192);
    file.allocate(12_000, SITE).unwrap();
    assert_eq!(disk.used(), 12_288);
    write(&*file, &[1; 12_288], 0).unwrap();
    assert_eq!((disk.used(), disk.allocated(Path::new("/f")).unwrap()), (12_288, 12_288));
}

#[test]
fn the_seed_of_the_disk_decides_where_faults_strike() {
    let torn = |seed| {
        let disk = FaultyDisk::new(seed);
        disk.fail_at(1, Fault::TornWrite);
        assert!(write(&*create(&disk, "/f"), &[1; 100_000], 0).is_err());
        live(&disk).len()
    };
    assert_eq!(torn(1), torn(1));
    assert_ne!(torn(1), torn(2));
}

#[test]
fn a_flip_at_rest_does_not_make_anything_else_durable() {
    let (disk, file) = disk_with(b"....");
    write(&*file, b"A", 0).unwrap();
    disk.flip(Path::new("/f"), 1, 1);
    assert_eq!(live(&disk), b"A/..");
    assert_eq!(after(&disk, CutPolicy::DropUnsynced, "/f").unwrap(), b"./..");
}
