//! Salvage of stores that were damaged in every way: nothing that verifies is lost, no wrong byte, nothing changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ossicle::*;

use crate::{assert_reads_well, effort, lived_in, read};

type State = BTreeMap<String, Vec<u8>>;

fn settings() -> Settings {
    Settings {
        segment_size: 1 << 20,
        packed_max: 16 << 10,
        chunk_size: 4096,
        delta_bytes: 64 << 10,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

fn open(path: &Path) -> Store {
    Store::builder(path).settings(settings()).maintenance(Maintenance::Manual).open().unwrap()
}

fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes: Vec<u8> = (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    bytes.extend_from_slice(&seed.to_le_bytes());
    bytes
}

/// A store and what it should hold.
struct Specimen {
    dir: tempfile::TempDir,
    newest: State,
    /// Every body that was ever under a key.
    ever: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Specimen {
    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }
}

/// Bodies of every kind in two buckets, overwritten, deleted and renamed, relocated, some of it since the checkpoint.
fn specimen(closed: bool) -> Specimen {
    let dir = tempfile::tempdir().unwrap();
    let lived = dir.path().join("lived");
    let store = open(&lived);
    let (mut newest, mut ever) = (State::new(), BTreeMap::<String, BTreeSet<Vec<u8>>>::new());
    let buckets = [store.create_bucket("cats").unwrap(), store.create_bucket("dogs").unwrap()];
    let bucket_view = [5, 300, 3000, 12_000, 40_000, 90_000];
    let mut number = 0;
    for round in 0..4 {
        for key in 0..24 {
            let bucket = &buckets[key % 2];
            let name = format!("{}/k{key:02}", bucket.name());
            if round > 0 && (key + round) % 5 == 0 {
                bucket.delete(&format!("k{key:02}")).unwrap();
                newest.remove(&name);
            } else if (key + round) % 3 != 0 || round == 0 {
                number += 1;
                let body = body(number, bucket_view[(number % 6) as usize]);
                let options = PutOptions::new().metadata("note", "n".repeat(if key == 7 { 6000 } else { 3 }));
                bucket.put_with(&format!("k{key:02}"), body.clone(), options).unwrap();
                ever.entry(name.clone()).or_default().insert(body.clone());
                newest.insert(name, body);
            }
        }
        if newest.contains_key("cats/k04") {
            let from = newest.remove("cats/k04").unwrap();
            buckets[0].rename("k04", &format!("renamed{round}")).unwrap();
            let name = format!("cats/renamed{round}");
            ever.entry(name.clone()).or_default().insert(from.clone());
            newest.insert(name, from);
        }
        if round == 1 {
            store.compact(CompactOptions::new()).unwrap();
        }
        if round == 2 {
            store.checkpoint().unwrap();
        }
    }
    store.write(|tx| tx.put_row("app", b"row", b"value")).unwrap();
    if closed {
        store.close().unwrap();
    }
    let specimen = Specimen { newest, ever, dir };
    copy(&lived, &specimen.path());
    if !closed {
        store.close().unwrap();
    }
    fs::remove_dir_all(&lived).unwrap();
    specimen
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn everything(store: &Store) -> State {
    let mut all = State::new();
    for bucket in store.buckets().unwrap() {
        let bucket = bucket.unwrap();
        for entry in bucket.list("").unwrap() {
            let key = entry.unwrap().name().to_string();
            all.insert(format!("{}/{key}", bucket.name()), read(&bucket, &key));
        }
    }
    all
}

/// Salvages, checks what always holds, and gives back what was saved.
fn salvage(specimen: &Specimen, what: &str) -> (SalvageReport, State) {
    let (from, to) = (specimen.path(), specimen.dir.path().join("saved"));
    let before = files(&from);
    let report = Store::salvage_with(&from, &to, SalvageOptions::new().settings(settings()))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(files(&from) == before, "{what}: the damaged directory was changed");
    let mut store = open(&to);
    let verified = store.verify().unwrap();
    assert!(verified.is_clean(), "{what}: {:?}", verified.problems.first());
    let saved = everything(&store);
    for (name, bytes) in &saved {
        let known = specimen.ever.get(name).is_some_and(|ever| ever.contains(bytes));
        assert!(known || name.starts_with("salvaged-"), "{what}: {name} has bytes that it never had");
    }
    // The new store is one like any other, with its index lost too.
    store.create_bucket("new").unwrap().put("new", b"new").unwrap();
    store.close().unwrap();
    drop(store);
    store = Store::builder(&to).settings(settings()).rebuild_index(true).open().unwrap();
    let mut again = everything(&store);
    assert_eq!(again.remove("new/new").as_deref(), Some(&b"new"[..]));
    assert!(again == saved, "{what}: another store with its index made anew");
    store.close().unwrap();
    drop(store);
    fs::remove_dir_all(&to).unwrap();
    (report, saved)
}

/// Where the rows are known, whatever is missing or older is named, and nothing deleted comes back.
fn nothing_in_silence(specimen: &Specimen, report: &SalvageReport, saved: &State, what: &str) -> usize {
    let named = |notes: &[SalvageNote], name: &str| notes.iter().any(|note| note.name == name);
    let mut harmed = 0;
    for (name, bytes) in &specimen.newest {
        match saved.get(name) {
            Some(saved) if saved == bytes => continue,
            Some(_) => assert!(named(&report.doubtful, name), "{what}: {name} is older in silence"),
            None => assert!(named(&report.lost, name), "{what}: {name} is missing in silence: {report:?}"),
        }
        harmed += 1;
    }
    for name in saved.keys() {
        assert!(specimen.newest.contains_key(name), "{what}: {name} was deleted and came back");
    }
    for note in report.lost.iter().chain(&report.doubtful) {
        assert!(!note.reason.contains("Store::verify"), "{what}: salvage has looked already: {note:?}");
    }
    if harmed > 0 {
        assert!(!report.damaged.is_empty(), "{what}: no file is to blame");
    }
    harmed
}

fn segments(specimen: &Specimen) -> Vec<PathBuf> {
    let all = files(&specimen.path()).into_keys();
    all.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect()
}

#[test]
fn without_damage_everything_is_saved() {
    for closed in [true, false] {
        let specimen = specimen(closed);
        let (report, saved) = salvage(&specimen, "whole");
        assert!(saved == specimen.newest);
        assert!(report.is_whole() && report.damaged.is_empty(), "{report:?}");
        // At least two buckets and a row beside the objects.
        assert!(report.saved >= saved.len() as u64 + 3, "{report:?}");
    }
}

#[test]
fn without_superblock_or_index_everything_is_saved() {
    for closed in [true, false] {
        let specimen = specimen(closed);
        let whole = files(&specimen.path());
        let (superblock, index) = (specimen.path().join("SUPERBLOCK"), specimen.path().join("index.tree"));
        let blank = |path: &Path| fs::write(path, vec![0; whole[path].len()]).unwrap();
        let noise = |path: &Path| fs::write(path, body(9, whole[path].len())).unwrap();
        let gone = |path: &Path| fs::remove_file(path).unwrap();
        let damages: [&dyn Fn(&Path); 3] = [&blank, &noise, &gone];
        for (number, damage) in damages.iter().enumerate() {
            for which in [vec![&superblock], vec![&index], vec![&superblock, &index]] {
                which.iter().for_each(|path| damage(path));
                let what = format!("damage {number} to {which:?}");
                let (report, saved) = salvage(&specimen, &what);
                assert!(saved == specimen.newest, "{what}");
                assert_eq!((report.lost_count, report.doubtful_count), (0, 0), "{what}");
                assert!(!report.damaged.is_empty(), "{what}");
                which.iter().for_each(|path| fs::write(path, &whole[*path]).unwrap());
            }
        }
    }
}

#[test]
fn a_flipped_byte_harms_one_key_and_is_told() {
    let specimen = specimen(true);
    let mut harmed = 0;
    for path in segments(&specimen) {
        let bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        let steps = effort::of(6, 24);
        let inside = (0..steps).map(|step| 130 + (used - 130) * step / steps);
        // Finding what stands behind a header that is lost takes long.
        let places = inside.chain(effort::some(vec![3, 20, 44, 126, used], 5));
        for place in places {
            let mut bad = bytes.clone();
            bad[place] ^= 0x41;
            fs::write(&path, &bad).unwrap();
            let what = format!("byte {place} of {}", path.display());
            let (report, saved) = salvage(&specimen, &what);
            let here = nothing_in_silence(&specimen, &report, &saved, &what);
            assert!((here == 0) || !report.is_whole(), "{what}");
            assert!(here <= 1, "{what}: one byte has harmed {here} keys: {report:?}");
            harmed += here;
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(harmed > effort::of(1, 5), "the damage was too harmless to prove anything: {harmed}");
}

/// The row of a body that cannot be read is told all the same, though the commit has left the hash of it to the body.
#[test]
fn of_bodies_that_share_a_record_a_flipped_byte_harms_one_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let specimen_path = dir.path().join("store");
    let (mut newest, mut ever) = (State::new(), BTreeMap::<String, BTreeSet<Vec<u8>>>::new());
    let store = open(&specimen_path);
    let bucket = store.create_bucket("cats").unwrap();
    let all: Vec<(String, Vec<u8>)> =
        (0..12).map(|n| (format!("k{n:02}"), body(n, 200 + n as usize))).collect();
    store.write(|tx| all.iter().try_for_each(|(key, body)| tx.put(&bucket, key, body))).unwrap();
    store.close().unwrap();
    for (key, body) in &all {
        newest.insert(format!("cats/{key}"), body.clone());
        ever.entry(format!("cats/{key}")).or_default().insert(body.clone());
    }
    let specimen = Specimen { dir, newest, ever };
    let index = specimen.path().join("index.tree");
    let whole_index = fs::read(&index).unwrap();
    let path = segments(&specimen).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    for (key, body) in &all {
        let found: Vec<usize> =
            (0..bytes.len() - body.len()).filter(|at| bytes[*at..].starts_with(body)).collect();
        assert_eq!(found.len(), 1, "{key}");
        // Its head, its first and its last byte.
        for place in [found[0] - 6, found[0] - 2, found[0], found[0] + body.len() - 1] {
            let mut bad = bytes.clone();
            bad[place] ^= 0x41;
            fs::write(&path, &bad).unwrap();
            for with_index in [true, false] {
                if !with_index {
                    fs::remove_file(&index).unwrap();
                }
                let what = format!("byte {place} of {key}, index {with_index}");
                let (report, saved) = salvage(&specimen, &what);
                let harmed = nothing_in_silence(&specimen, &report, &saved, &what);
                assert_eq!(harmed, 1, "{what}: {report:?}");
                assert!(!saved.contains_key(&format!("cats/{key}")) && !report.is_whole(), "{what}");
                fs::write(&index, &whole_index).unwrap();
            }
        }
    }
}

#[test]
fn lost_sectors_torn_files_and_missing_segments_are_told() {
    for closed in [true, false] {
        let specimen = specimen(closed);
        for path in segments(&specimen) {
            let bytes = fs::read(&path).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            let middle = used / 2 / 512 * 512;
            let mut bad = bytes.clone();
            bad[middle..(middle + 4096).min(used)].fill(0);
            fs::write(&path, &bad).unwrap();
            let mut damages = vec!["a lost sector"];
            let mut outcomes = vec![salvage(&specimen, "a lost sector")];
            fs::write(&path, &bytes[..middle]).unwrap();
            damages.push("a torn file");
            outcomes.push(salvage(&specimen, "a torn file"));
            fs::remove_file(&path).unwrap();
            damages.push("a missing segment");
            outcomes.push(salvage(&specimen, "a missing segment"));
            fs::write(&path, &bytes).unwrap();
            for (what, (report, saved)) in damages.into_iter().zip(outcomes) {
                let what = format!("{what}: {}", path.display());
                if closed {
                    nothing_in_silence(&specimen, &report, &saved, &what);
                }
                // What was written since the checkpoint is known from the log alone.
                assert!(saved == specimen.newest || !report.is_whole(), "{what}: {report:?}");
            }
        }
    }
}

#[test]
fn objects_of_a_lost_bucket_come_into_a_bucket_of_their_own() {
    let specimen = specimen(true);
    fs::remove_file(specimen.path().join("SUPERBLOCK")).unwrap();
    fs::remove_file(specimen.path().join("index.tree")).unwrap();
    let is_row = |bytes: &[u8]| bytes.windows(5).position(|word| word == b"\x02cats");
    let mut hit = 0;
    for path in segments(&specimen).iter().filter(|path| path.parent().unwrap().ends_with("log")) {
        let mut bytes = fs::read(path).unwrap();
        while let Some(at) = is_row(&bytes) {
            bytes[at + 2] ^= 0x80;
            hit += 1;
        }
        fs::write(path, bytes).unwrap();
    }
    assert!(hit > 0, "the bucket's row was not found");
    let (report, saved) = salvage(&specimen, "a lost bucket");
    // Relocation may have said both buckets' rows again in one record.
    let made = report.made.iter().filter(|note| note.name.starts_with("the bucket")).count();
    assert!((1..=2).contains(&made), "{:?}", report.made);
    let named = |name: &String| name.replace("salvaged-1/", "cats/").replace("salvaged-2/", "dogs/");
    let saved: State = saved.into_iter().map(|(name, bytes)| (named(&name), bytes)).collect();
    assert!(saved.iter().all(|(name, bytes)| specimen.ever[name].contains(bytes)));
    let whole = specimen.newest.iter().filter(|(name, bytes)| saved.get(*name) == Some(*bytes)).count();
    assert!(whole * 3 > specimen.newest.len() * 2, "{whole} of {}", specimen.newest.len());
}

#[test]
fn a_lost_header_is_made_good_from_the_first_record() {
    let specimen = specimen(true);
    let path = segments(&specimen).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..128].fill(0);
    fs::write(&path, bytes).unwrap();
    let (report, saved) = salvage(&specimen, "a lost header");
    assert!(saved == specimen.newest, "{:?}", report.lost.first());
    assert!(report.damaged.iter().any(|file| file.path == path), "{:?}", report.damaged);
}

#[test]
fn salvage_goes_on_where_numbers_were_left() {
    let specimen = specimen(true);
    let store = open(&specimen.path());
    let key = specimen.newest.keys().find_map(|name| name.strip_prefix("cats/")).unwrap();
    let (lsn, written) = (store.stats().lsn, store.bucket("cats").unwrap().head(key).unwrap().lsn);
    store.close().unwrap();
    drop(store);
    let to = specimen.dir.path().join("saved");
    let report = Store::salvage(specimen.path(), &to).unwrap();
    assert_eq!(report.lsn, lsn);
    let store = Store::open(&to).unwrap();
    let cats = store.bucket("cats").unwrap();
    assert_eq!(cats.head(key).unwrap().lsn, written);
    assert!(cats.put("new", b"new").unwrap().lsn > lsn);
    assert_eq!(store.row("app", b"row").unwrap().as_deref(), Some(&b"value"[..]));
}

#[test]
fn what_is_no_store_is_not_salvaged_and_nothing_is_overwritten() {
    let specimen = specimen(true);
    let at = |name: &str| specimen.dir.path().join(name);
    let code = |from: &Path, to: &Path| {
        let error = Store::salvage(from, to).unwrap_err();
        assert_reads_well(&error);
        error.kind()
    };
    assert_eq!(code(&at("nowhere"), &at("to")), ErrorKind::NotFound);
    fs::create_dir(at("empty")).unwrap();
    assert_eq!(code(&at("empty"), &at("to")), ErrorKind::Corrupt);
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/letter"), b"dear ann").unwrap();
    assert_eq!(code(&specimen.path(), &at("full")), ErrorKind::AlreadyExists);
    for to in [specimen.path(), specimen.path().join("saved"), specimen.dir.path().to_path_buf()] {
        assert_eq!(code(&specimen.path(), &to), ErrorKind::Invalid);
    }
    let store = open(&specimen.path());
    assert_eq!(code(&specimen.path(), &at("to")), ErrorKind::Busy);
    store.close().unwrap();
    let mut calls = 0;
    let watch = SalvageOptions::new().progress(|_| {
        calls += 1;
        calls < 60
    });
    let report = Store::salvage_with(specimen.path(), at("part"), watch).unwrap();
    assert!(report.stopped);
    let part = everything(&open(&at("part")));
    assert!(part.iter().all(|(name, bytes)| specimen.newest[name] == *bytes));
}

#[test]
fn damage_everywhere_at_once_ends_in_a_sound_store() {
    let mut state = 7u64;
    let mut roll = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for closed in [true, false] {
        let specimen = specimen(closed);
        let whole = files(&specimen.path());
        let names: Vec<&PathBuf> = whole.keys().filter(|path| !path.ends_with("LOCK")).collect();
        for round in 0..effort::of(3, 12) {
            for _ in 0..1 + roll(12) {
                let path = names[roll(names.len())];
                let mut bytes = fs::read(path).unwrap();
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                // Headers have tests of their own, and finding one again takes long.
                let at = (128 + roll(used)).min(bytes.len());
                let end = (at + 1 + roll(3000)).min(bytes.len());
                match roll(4) {
                    0 => bytes.truncate(at),
                    1 => bytes[at..end].fill(0),
                    2 => bytes[at..end].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31) ^ 0x5a),
                    _ => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 0x10),
                }
                fs::write(path, bytes).unwrap();
            }
            let (report, saved) = salvage(&specimen, &format!("round {round}"));
            assert!(saved == specimen.newest || !report.is_whole(), "round {round}: {report:?}");
            whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        }
    }
}

/// Versions, shared bodies, forks, prefixes that were moved, the retained past and cursors are saved as they were, with the
/// superblock and the index or without.
#[test]
fn a_store_that_was_lived_in_is_saved_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (store, marks) = lived_in::live_in(&at("store"));
    for round in 0..2 {
        if round > 0 {
            store.compact(CompactOptions::new()).unwrap();
        }
        let was = lived_in::seen(&store, &marks);
        let newest = store.stats().lsn;
        store.flush().unwrap();
        for lost in
            [&[][..], &["SUPERBLOCK"], &["index.tree", "index.alt.tree"], &["SUPERBLOCK", "index.tree"]]
        {
            let (from, to) = (at("damaged"), at("saved"));
            copy(&at("store"), &from);
            lost.iter().for_each(|name| drop(fs::remove_file(from.join(name))));
            let options = SalvageOptions::new().settings(lived_in::settings());
            let report = Store::salvage_with(&from, &to, options).unwrap();
            assert!(report.made.is_empty() && report.lost.is_empty(), "{lost:?}: {report:?}");
            assert!(report.doubtful.is_empty(), "{lost:?}: {report:?}");
            for rebuild in [false, true] {
                let saved = lived_in::open(&to, rebuild);
                if !rebuild {
                    assert_eq!(
                        saved.stats().lsn,
                        newest,
                        "{lost:?}: nothing was wrong, and something was mended"
                    );
                }
                let verified = saved.verify().unwrap();
                assert!(verified.is_clean(), "{lost:?}: {:?}", verified.problems.first());
                lived_in::assert_same(&was, &lived_in::seen(&saved, &marks), &format!("without {lost:?}"));
                // The log is another one: who follows begins anew, or goes on from the newest commit.
                let cursor = saved.cursor("follower").unwrap().unwrap();
                let error = saved.changes(cursor).and_then(|mut all| all.next().transpose()).unwrap_err();
                assert_eq!(error.code(), "FeedTruncated");
                if !rebuild {
                    assert_eq!(saved.changes(newest).unwrap().count(), 0);
                }
                saved.maintain(std::time::Duration::from_secs(2)).unwrap();
                saved.compact(CompactOptions::new()).unwrap();
                lived_in::assert_same(&was, &lived_in::seen(&saved, &marks), &format!("without {lost:?}"));
                saved.close().unwrap();
            }
            fs::remove_dir_all(&from).unwrap();
            fs::remove_dir_all(&to).unwrap();
        }
    }
}

/// Adds to a store what work is left of and what is not finished: uploads, a fork that was dropped, a body of many
/// pieces that nobody has any more.
fn live_on(store: &Store) {
    let (cats, dogs) = (store.bucket("cats").unwrap(), store.bucket("dogs").unwrap());
    let upload = cats.upload("in parts", UploadOptions::new()).unwrap();
    for number in 1..5 {
        upload.put_part(number, body(u64::from(number), 30_000)).unwrap();
    }
    let aborted = dogs.upload("aborted", UploadOptions::new()).unwrap();
    for number in 1..70 {
        aborted.put_part(number, body(u64::from(number), 200)).unwrap();
    }
    let mut at = 0;
    for number in 0..70 {
        let more = body(number, 700);
        dogs.append("log", at, more.clone()).unwrap();
        at += more.len() as u64;
    }
    let dropped = store.fork_bucket("dogs", "dropped").unwrap();
    dropped.put("dog2", body(9, 30_000)).unwrap();
    dropped.put("more", body(10, 300)).unwrap();
    store.delete_bucket("dropped").unwrap();
    store.fork_bucket("pups", "puppies").unwrap().put("puppy", body(11, 300)).unwrap();
    store.bucket("pups").unwrap().put("grown", body(12, 300)).unwrap();
    aborted.abort().unwrap();
}

/// Damages some of the files.
fn damage(
    files: &BTreeMap<PathBuf, Vec<u8>>,
    roll: &mut impl FnMut(usize) -> usize,
) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let names: Vec<&PathBuf> = files.keys().filter(|path| !path.ends_with("LOCK")).collect();
    let segments: Vec<&PathBuf> =
        names.iter().filter(|path| path.extension().is_some_and(|end| end == "seg")).copied().collect();
    let mut damaged: BTreeMap<PathBuf, Option<Vec<u8>>> = BTreeMap::new();
    // With the index there, much of the log does not matter.
    if roll(2) == 0 {
        names
            .iter()
            .filter(|path| !segments.contains(path))
            .for_each(|path| drop(damaged.insert(path.to_path_buf(), None)));
    }
    for _ in 0..1 + roll(8) {
        let path = names[roll(names.len())];
        let mut bytes = damaged.remove(path).flatten().unwrap_or_else(|| files[path].clone());
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Headers have tests of their own, and finding one again takes long.
        let at = (128 + roll(used)).min(bytes.len());
        let end = (at + 1 + roll(20_000)).min(bytes.len());
        match roll(12) {
            0 => bytes.truncate(at),
            1..4 => bytes[at..end].fill(0),
            4..8 => {
                // The keys of buckets, of work, of counts, of what is shared: one of the commits with such a row is lost.
                let needles: [&[u8]; 10] = [
                    b"\x02cats",
                    b"\x02dogs",
                    b"\x02birds",
                    b"\x02pups",
                    b"\x02chicks",
                    b"\x04\0\0\0\0\0",
                    b"\x08\0\0\0\0\0",
                    b"\x0B\0\0\0\0\0",
                    b"\x0C\0\0\0\0\0",
                    b"\x40",
                ];
                let needle = needles[roll(needles.len())];
                let found = bytes.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle);
                let places: Vec<usize> = found.map(|(place, _)| place).filter(|place| *place > 128).collect();
                if let Some(place) = places.get(roll(places.len())) {
                    bytes[*place] ^= 0x80;
                }
            }
            _ => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 0x10),
        }
        damaged.insert(path.clone(), Some(bytes));
    }
    if roll(5) == 0 {
        damaged.insert(segments[roll(segments.len())].clone(), None);
    }
    damaged
}

fn assert_clean(store: &Store, what: &str) {
    let verified = store.verify().unwrap();
    assert!(verified.is_clean(), "{what}: {:#?}", verified.problems);
}

fn maintain_all(store: &Store, what: &str) {
    for round in 0.. {
        let report = store.maintain(std::time::Duration::from_secs(20)).unwrap();
        if report.tidied == 0 && !report.more {
            break;
        }
        assert!(round < 100, "{what}: maintenance does not end: {report:?}");
    }
    store.compact(CompactOptions::new()).unwrap();
}

/// Reads everything there is in every way; what is lost may be missing, but nothing panics.
fn look_around(store: &Store) {
    for bucket in store.buckets().unwrap() {
        let bucket = bucket.unwrap();
        bucket.usage("").unwrap();
        for entry in bucket.list("").unwrap() {
            let key = entry.unwrap().name().to_string();
            drop(bucket.get(&key).and_then(Object::bytes));
        }
        bucket.versions("").unwrap().for_each(|version| drop(version.unwrap()));
        bucket.uploads(ListOptions::new()).unwrap().for_each(|upload| drop(upload.unwrap()));
    }
    store.usage().unwrap();
}

/// A bucket made anew may lead to rows that only hid what was beneath; they go with the bucket.
#[test]
fn a_bucket_made_anew_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = open(&at("store"));
    let dogs = store.create_bucket("dogs").unwrap();
    dogs.put("hidden", b"there before the fork").unwrap();
    store.fork_bucket("dogs", "pups").unwrap();
    dogs.delete("hidden").unwrap();
    dogs.put("new", b"new").unwrap();
    store.close().unwrap();
    for (path, mut bytes) in files(&at("store")) {
        if path.extension().is_none_or(|end| end != "seg") {
            fs::remove_file(path).unwrap();
            continue;
        }
        while let Some(place) = bytes.windows(5).position(|window| window == b"\x02dogs") {
            bytes[place] ^= 0x80;
        }
        fs::write(path, bytes).unwrap();
    }
    Store::salvage(at("store"), at("saved")).unwrap();
    let saved = open(&at("saved"));
    let buckets: Vec<Bucket> = saved.buckets().unwrap().map(Result::unwrap).collect();
    let made = buckets.iter().find(|bucket| bucket.exists("new").unwrap()).unwrap();
    assert!(made.name().starts_with("salvaged-"), "{}", made.name());
    made.delete("new").unwrap();
    saved.delete_bucket(made.name()).unwrap();
    assert_clean(&saved, "without the bucket");
    maintain_all(&saved, "without the bucket");
    assert_clean(&saved, "when all is done");
}

/// Whatever is lost: what the rows that are left add up to is right, in the saved store and in all that becomes of it.
#[test]
fn the_books_of_a_saved_store_are_right_whatever_was_lost() {
    let (rounds, seed) = (effort::number("OSSICLE_SALVAGE_ROUNDS", 4, 16), effort::seed() + 1);
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (store, _) = lived_in::live_in(&at("store"));
    live_on(&store);
    store.flush().unwrap();
    copy(&at("store"), &at("open"));
    // Some of the work is done, and everything lies elsewhere.
    store.maintain(std::time::Duration::from_secs(1)).unwrap();
    store.compact(CompactOptions::new()).unwrap();
    store.bucket("birds").unwrap().rename_prefix("new/", "newest/").unwrap();
    store.close().unwrap();
    let specimens = [files(&at("open")), files(&at("store"))];
    let roots = [at("open"), at("store")];
    for round in 0..rounds {
        let mut state = (seed << 32 | round).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below.max(1)
        };
        let which = (round % 2) as usize;
        let (whole, root) = (&specimens[which], &roots[which]);
        let damaged = damage(whole, &mut roll);
        for (path, bytes) in &damaged {
            match bytes {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
        let what = format!("seed {seed}, round {round}");
        let to = at("saved");
        Store::salvage_with(root, &to, SalvageOptions::new().settings(lived_in::settings()))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        damaged.keys().for_each(|path| fs::write(path, &whole[path]).unwrap());
        let saved = lived_in::open(&to, false);
        assert_clean(&saved, &format!("{what}, saved"));
        look_around(&saved);
        drop(saved);
        if round % 4 == 3 {
            // What was set right stays so when the saved store is damaged in its turn.
            fs::remove_file(to.join("index.tree")).unwrap();
            let (once, options) = (at("once"), SalvageOptions::new().settings(lived_in::settings()));
            fs::rename(&to, &once).unwrap();
            let report = Store::salvage_with(&once, &to, options).unwrap();
            assert!(report.lost.is_empty() && report.made.is_empty(), "{what}: {report:?}");
            assert_clean(&lived_in::open(&to, false), &format!("{what}, saved again"));
            fs::remove_dir_all(&once).unwrap();
        }
        let saved = lived_in::open(&to, true);
        assert_clean(&saved, &format!("{what}, with another index"));
        // What is written to a bucket now is in that one alone, and stays there.
        let buckets: Vec<Bucket> = saved.buckets().unwrap().map(Result::unwrap).collect();
        for key in ["mine", "gone/mine", "old/mine"] {
            for bucket in &buckets {
                bucket.put(key, bucket.name().as_bytes()).unwrap();
            }
        }
        for history in [true, false] {
            if !history {
                saved.set_history(None).unwrap();
            }
            maintain_all(&saved, &what);
            assert_clean(&saved, &format!("{what}, maintained, with a past: {history}"));
            for (bucket, key) in
                buckets.iter().flat_map(|b| ["mine", "gone/mine", "old/mine"].map(|key| (b, key)))
            {
                assert!(read(bucket, key) == bucket.name().as_bytes(), "{what}: {}/{key}", bucket.name());
            }
            look_around(&saved);
        }
        for bucket in &buckets {
            // Where there are versions, markers are put on the objects, and they stay.
            bucket.delete_prefix("").unwrap();
            drop(saved.delete_bucket(bucket.name()));
        }
        maintain_all(&saved, &what);
        assert_clean(&saved, &format!("{what}, emptied"));
        saved.close().unwrap();
        drop(saved);
        fs::remove_dir_all(&to).unwrap();
    }
}

/// A shared body that is damaged takes every object with it that refers to it, and each is named.
#[test]
fn a_damaged_shared_body_is_told_of_every_object_that_had_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = open(&at("store"));
    let cats = store.create_bucket("cats").unwrap();
    let known = body(1, 90_000);
    cats.put("original", known.clone()).unwrap();
    cats.copy("original", "copy").unwrap();
    cats.put("other", body(2, 90_000)).unwrap();
    for number in 0..70 {
        cats.put(&format!("old/{number}"), body(number, 30)).unwrap();
    }
    cats.put("old/large", body(3, 90_000)).unwrap();
    cats.copy("old/large", "old/larger").unwrap();
    cats.rename_prefix("old/", "new/").unwrap();
    store.close().unwrap();
    drop((cats, store));
    let spoil = |what: &[u8]| {
        for (path, mut bytes) in files(&at("store")) {
            if let Some(place) = bytes.windows(64).position(|window| window == &what[50_000..50_064]) {
                bytes[place] ^= 1;
                fs::write(path, bytes).unwrap();
            }
        }
    };
    spoil(&known);
    spoil(&body(3, 90_000));
    let report = Store::salvage(at("store"), at("saved")).unwrap();
    let lost: Vec<&str> = report.lost.iter().map(|note| note.name.as_str()).collect();
    for name in ["cats/original", "cats/copy", "cats/new/large", "cats/new/larger"] {
        assert!(lost.contains(&name), "{name} is not among {lost:?}");
    }
    let saved = open(&at("saved"));
    let verified = saved.verify().unwrap();
    assert!(verified.is_clean(), "{verified:?}");
    let cats = saved.bucket("cats").unwrap();
    assert!(read(&cats, "other") == body(2, 90_000));
    assert_eq!(cats.list("").unwrap().count(), 71);
}
