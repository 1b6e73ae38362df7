//! What every file system must do, tried on the real one and on its twins alike.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entropy::SplitMix;
use super::*;

const SITE: Site = Site::LOG_APPEND;

struct World {
    name: &'static str,
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    _temp: Option<tempfile::TempDir>,
}

/// The three file systems, each with a fresh directory.
fn worlds() -> Vec<World> {
    let temp = tempfile::tempdir().unwrap();
    let real = temp.path().join("store");
    let twin = PathBuf::from("/some/where/store");
    let worlds = vec![
        World { name: "real", vfs: Arc::new(RealVfs::new()), dir: real, _temp: Some(temp) },
        World { name: "memory", vfs: Arc::new(MemoryVfs::new()), dir: twin.clone(), _temp: None },
        World { name: "faulty", vfs: FaultyDisk::new(1).vfs(), dir: twin, _temp: None },
        World { name: "relative", vfs: FaultyDisk::new(1).vfs(), dir: "store".into(), _temp: None },
    ];
    for world in &worlds {
        world.vfs.create_dir(&world.dir, SITE).unwrap();
    }
    worlds
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.vfs.open(&self.path(name), mode, SITE)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = self.open(name, OpenMode::CreateNew).unwrap();
        write(&*file, bytes, 0);
        file
    }

    fn refused(&self, name: &str, mode: OpenMode) -> ErrorKind {
        self.open(name, mode).unwrap_err().kind()
    }

    fn locked(&self, name: &str, mode: LockMode) -> io::Result<Box<dyn Lock>> {
        self.vfs.lock(&self.path(name), mode, SITE)
    }
}

fn write(file: &dyn File, bytes: &[u8], offset: u64) {
    file.write_at(&[IoSlice::new(bytes)], offset, SITE).unwrap();
}

fn content(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0xee; file.size().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0, SITE).unwrap();
    bytes
}

fn seen(map: &Map) -> Vec<u8> {
    map.lend(0..map.len()).unwrap().to_vec()
}

#[test]
fn opening_follows_its_mode() {
    for world in worlds() {
        assert_eq!(world.refused("f", OpenMode::Read), ErrorKind::NotFound, "{}", world.name);
        assert_eq!(world.refused("f", OpenMode::ReadWrite), ErrorKind::NotFound, "{}", world.name);
        assert_eq!(world.refused("no/f", OpenMode::CreateNew), ErrorKind::NotFound, "{}", world.name);
        world.create("f", b"first");
        assert_eq!(world.refused("f", OpenMode::CreateNew), ErrorKind::AlreadyExists, "{}", world.name);
        assert_eq!(world.refused("f/g", OpenMode::CreateNew), ErrorKind::NotADirectory, "{}", world.name);
        assert_eq!(world.refused("", OpenMode::Read), ErrorKind::IsADirectory, "{}", world.name);
        write(&*world.open("f", OpenMode::ReadWrite).unwrap(), b"F", 0);
        let reader = world.open("f", OpenMode::Read).unwrap();
        assert_eq!(content(&*reader), b"First", "{}", world.name);
        assert!(reader.write_at(&[IoSlice::new(b"x")], 0, SITE).is_err(), "{}", world.name);
        assert!(reader.set_len(1, SITE).is_err(), "{}", world.name);
        assert!(reader.allocate(100, SITE).is_err(), "{}", world.name);
        assert_eq!(content(&*reader), b"First", "{}", world.name);
    }
}

#[test]
fn reading_ends_at_the_end() {
    for world in worlds() {
        let file = world.create("f", b"0123456789");
        let mut buf = [0; 8];
        assert_eq!(file.read_at(&mut buf, 7, SITE).unwrap(), 3, "{}", world.name);
        assert_eq!(&buf[..3], b"789", "{}", world.name);
        assert_eq!(file.read_at(&mut buf, 10, SITE).unwrap(), 0, "{}", world.name);
        assert_eq!(file.read_at(&mut buf, 1 << 40, SITE).unwrap(), 0, "{}", world.name);
        let short = file.read_exact_at(&mut buf, 7, SITE).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::UnexpectedEof, "{}", world.name);
    }
}

#[test]
fn writing_past_the_end_leaves_zeros_between() {
    for world in worlds() {
        let file = world.create("f", b"ab");
        write(&*file, b"yz", 10_000);
        let mut expected = vec![0; 10_002];
        expected[..2].copy_from_slice(b"ab");
        expected[10_000..].copy_from_slice(b"yz");
        assert_eq!(content(&*file), expected, "{}", world.name);
        write(&*file, b"", 20_000);
        assert_eq!(file.size().unwrap(), 10_002, "{}: an empty write does not grow a file", world.name);
    }
}

#[test]
fn a_write_beyond_what_files_can_be_is_refused() {
    for world in worlds() {
        let file = world.create("f", b"ab");
        for offset in [i64::MAX as u64, u64::MAX - 1, u64::MAX] {
            assert!(file.write_at(&[IoSlice::new(b"xyz")], offset, SITE).is_err(), "{}", world.name);
        }
        assert!(file.set_len(u64::MAX, SITE).is_err(), "{}", world.name);
        assert!(file.allocate(u64::MAX, SITE).is_err(), "{}", world.name);
        assert_eq!(content(&*file), b"ab", "{}", world.name);
    }
}

#[test]
fn a_vectored_write_takes_any_number_of_buffers() {
    for world in worlds() {
        let parts: Vec<Vec<u8>> = (0..5000_usize).map(|i| vec![i as u8; i % 7]).collect();
        let bufs: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let file = world.create("f", b"-");
        file.write_at(&bufs, 1, SITE).unwrap();
        assert_eq!(content(&*file)[1..], parts.concat(), "{}", world.name);
        file.write_at(&[], 0, SITE).unwrap();
    }
}

#[test]
fn any_mix_of_writes_and_lengths_ends_in_the_same_bytes() {
    for world in worlds() {
        let mut random = SplitMix::new(7);
        let file = world.create("f", b"");
        let mut model: Vec<u8> = Vec::new();
        for step in 0..400 {
            let at = random.below(30_000) as usize;
            match random.below(8) {
                0 => {
                    file.set_len(at as u64, SITE).unwrap();
                    model.resize(at, 0);
                }
                1 => {
                    file.allocate(at as u64, SITE).unwrap();
                    model.resize(model.len().max(at), 0);
                }
                _ => {
                    let mut bytes = vec![0; random.below(12_000) as usize];
                    random.fill(&mut bytes);
                    write(&*file, &bytes, at as u64);
                    if !bytes.is_empty() {
                        model.resize(model.len().max(at + bytes.len()), 0);
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                    }
                }
            }
            assert!(content(&*file) == model, "{}: step {step} of reading", world.name);
            let map = file.map(SITE).unwrap();
            assert!(seen(&map) == model, "{}: step {step} of mapping", world.name);
        }
    }
}

#[test]
fn a_map_keeps_its_length_and_sees_later_writes() {
    for world in worlds() {
        let file = world.create("f", &[7; 9000]);
        let map = file.map(SITE).unwrap();
        write(&*file, b"new", 5000);
        write(&*file, b"beyond", 9000);
        assert_eq!(map.len(), 9000, "{}", world.name);
        assert_eq!(&*map.lend(4999..5004).unwrap(), b"\x07new\x07", "{}", world.name);
        assert_eq!(&map.bytes(4999..5004).unwrap()[..], b"\x07new\x07", "{}", world.name);
        assert_eq!(&*map.lend(4000..4200).unwrap(), &[7; 200], "{}: over the border of a block", world.name);
        assert_eq!(&*map.lend(9000..9000).unwrap(), b"", "{}", world.name);
        let backwards = Range { start: 10, end: 9 };
        for outside in [8999..9001, 9001..9001, backwards, 0..u64::MAX] {
            assert!(map.lend(outside.clone()).is_none(), "{}: {outside:?}", world.name);
            assert!(map.bytes(outside.clone()).is_none(), "{}: {outside:?}", world.name);
        }
    }
}

#[test]
fn an_empty_file_maps_to_nothing() {
    for world in worlds() {
        let map = world.create("f", b"").map(SITE).unwrap();
        assert!(map.is_empty(), "{}", world.name);
        assert_eq!(&*map.lend(0..0).unwrap(), b"", "{}", world.name);
        assert!(map.lend(0..1).is_none(), "{}", world.name);
    }
}

#[test]
fn lent_bytes_outlive_file_map_and_name() {
    for world in worlds() {
        let file = world.create("f", &[3; 5000]);
        let map = file.map(SITE).unwrap();
        let (one, over) = (map.bytes(10..20).unwrap(), map.bytes(4000..4200).unwrap());
        world.vfs.remove(&world.path("f"), SITE).unwrap();
        drop((map, file));
        assert_eq!((&one[..], &over[..]), (&[3; 10][..], &[3; 200][..]), "{}", world.name);
    }
}

#[test]
fn maps_lend_without_copying() {
    for world in worlds() {
        let map = world.create("f", &[3; 5000]).map(SITE).unwrap();
        let (one, other) = (map.bytes(10..20).unwrap(), map.bytes(12..20).unwrap());
        assert_eq!(one[2..].as_ptr(), other.as_ptr(), "{}", world.name);
    }
}

#[test]
fn what_memory_lent_is_not_changed_by_later_writes() {
    for world in worlds().into_iter().skip(1) {
        let file = world.create("f", &[3; 5000]);
        let map = file.map(SITE).unwrap();
        let lent = map.bytes(0..4).unwrap();
        write(&*file, b"xxxx", 0);
        assert_eq!(&lent[..], &[3; 4], "{}", world.name);
        write(&*file, &[9; 4096], 0);
        assert_eq!((&lent[..], &*map.lend(0..4).unwrap()), (&[3; 4][..], &[9; 4][..]), "{}", world.name);
    }
}

#[test]
fn holes_take_no_disk_and_allocation_does() {
    for world in worlds() {
        let file = world.create("f", b"x");
        file.set_len(1 << 20, SITE).unwrap();
        assert_eq!(file.size().unwrap(), 1 << 20, "{}", world.name);
        assert!(world.vfs.allocated(&world.path("f")).unwrap() < 1 << 19, "{}", world.name);
        file.allocate(1 << 19, SITE).unwrap();
        assert_eq!(file.size().unwrap(), 1 << 20, "{}: allocating never shrinks", world.name);
        assert!(world.vfs.allocated(&world.path("f")).unwrap() >= 1 << 19, "{}", world.name);
        file.allocate((1 << 20) + 5, SITE).unwrap();
        assert_eq!(file.size().unwrap(), (1 << 20) + 5, "{}", world.name);
        assert_eq!(content(&*file)[..3], *b"x\0\0", "{}", world.name);
        file.allocate(0, SITE).unwrap();
        file.set_len(0, SITE).unwrap();
        assert!(world.vfs.allocated(&world.path("f")).unwrap() <= 4096, "{}", world.name);
        assert_eq!(world.vfs.allocated(&world.path("g")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_removed_file_goes_on_for_those_who_have_it_open() {
    for world in worlds() {
        let old = world.create("f", b"old");
        let map = old.map(SITE).unwrap();
        world.vfs.remove(&world.path("f"), SITE).unwrap();
        assert_eq!(world.refused("f", OpenMode::Read), ErrorKind::NotFound, "{}", world.name);
        let new = world.create("f", b"new!");
        write(&*old, b"OLD", 0);
        assert_eq!(content(&*old), b"OLD", "{}", world.name);
        assert_eq!(seen(&map), b"OLD", "{}", world.name);
        assert_eq!(content(&*new), b"new!", "{}", world.name);
        assert!(old.sync_data(SITE).is_ok(), "{}", world.name);
    }
}

#[test]
fn only_files_that_exist_can_be_removed() {
    for world in worlds() {
        let missing = world.vfs.remove(&world.path("f"), SITE).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{}", world.name);
        assert!(world.vfs.remove(&world.dir, SITE).is_err(), "{}", world.name);
        world.create("f", b"");
    }
}

#[test]
fn a_listing_names_what_is_there() {
    for world in worlds() {
        world.create("f", b"abc");
        world.create("gone", b"");
        world.vfs.create_dir(&world.path("sub/deep"), SITE).unwrap();
        world.vfs.remove(&world.path("gone"), SITE).unwrap();
        let mut listed = world.vfs.list(&world.dir, SITE).unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let file = Listed { name: "f".into(), is_file: true, len: 3 };
        let dir = Listed { name: "sub".into(), is_file: false, len: 0 };
        assert_eq!(listed, [file, dir], "{}", world.name);
        let missing = world.vfs.list(&world.path("no"), SITE).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{}", world.name);
        let file = world.vfs.list(&world.path("f"), SITE).unwrap_err();
        assert_eq!(file.kind(), ErrorKind::NotADirectory, "{}", world.name);
    }
}

#[test]
fn directories_are_made_with_their_parents_and_only_once() {
    for world in worlds() {
        let deep = world.path("a/b/c");
        world.vfs.create_dir(&deep, SITE).unwrap();
        world.create("a/b/c/f", b"kept");
        world.vfs.create_dir(&deep, SITE).unwrap();
        assert_eq!(
            content(&*world.open("a/./b/c/../c/f", OpenMode::Read).unwrap()),
            b"kept",
            "{}",
            world.name
        );
        world.vfs.sync_dir(&deep, SITE).unwrap();
        let missing = world.vfs.sync_dir(&world.path("no"), SITE).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{}", world.name);
        assert!(world.vfs.sync_dir(&deep.join("f"), SITE).is_err(), "{}", world.name);
        assert!(world.vfs.create_dir(&deep.join("f"), SITE).is_err(), "{}", world.name);
        assert!(world.vfs.create_dir(&deep.join("f/g"), SITE).is_err(), "{}", world.name);
    }
}

#[test]
fn a_directory_goes_only_when_it_is_empty() {
    for world in worlds() {
        let deep = world.path("a/b");
        world.vfs.create_dir(&deep, SITE).unwrap();
        let full = world.vfs.remove_dir(&world.path("a"), SITE).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty, "{}", world.name);
        world.vfs.remove_dir(&deep, SITE).unwrap();
        let gone = world.vfs.remove_dir(&deep, SITE).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{}", world.name);
        assert!(world.vfs.list(&world.path("a"), SITE).unwrap().is_empty(), "{}", world.name);
        world.create("a/f", b"");
        assert!(world.vfs.remove_dir(&world.path("a/f"), SITE).is_err(), "{}", world.name);
        world.vfs.create_dir(&deep, SITE).unwrap();
        world.create("a/b/f", b"anew");
        assert_eq!(content(&*world.open("a/b/f", OpenMode::Read).unwrap()), b"anew", "{}", world.name);
    }
}

#[test]
fn a_note_in_a_locked_file_is_read_by_others() {
    for world in worlds() {
        let lock = world.locked("L", LockMode::Exclusive).unwrap();
        for note in [&b"first"[..], b"2nd"] {
            lock.note(note, SITE).unwrap();
            let file = world.vfs.open(&world.path("L"), OpenMode::Read, SITE).unwrap();
            let mut seen = vec![0; note.len()];
            file.read_exact_at(&mut seen, 0, SITE).unwrap();
            assert_eq!(seen, note, "{}", world.name);
        }
        drop(lock);
        let shared = world.locked("L", LockMode::Shared).unwrap();
        let refused = shared.note(b"no", SITE).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{}", world.name);
    }
}

#[test]
fn a_lock_is_held_by_one_or_shared_by_many() {
    let refused = |answer: io::Result<Box<dyn Lock>>| answer.unwrap_err().kind();
    for world in worlds() {
        assert_eq!(refused(world.locked("L", LockMode::Shared)), ErrorKind::NotFound, "{}", world.name);
        let alone = world.locked("L", LockMode::Exclusive).unwrap();
        for name in ["L", "./L", "../store/L"] {
            for mode in [LockMode::Exclusive, LockMode::Shared] {
                let kind = refused(world.locked(name, mode));
                assert_eq!(kind, ErrorKind::WouldBlock, "{}: {name} {mode:?}", world.name);
            }
        }
        let elsewhere = world.locked("M", LockMode::Exclusive).unwrap();
        drop(alone);
        let shared = [(); 3].map(|()| world.locked("L", LockMode::Shared).unwrap());
        let [first, second, third] = shared;
        drop(first);
        drop(second);
        assert_eq!(refused(world.locked("L", LockMode::Exclusive)), ErrorKind::WouldBlock, "{}", world.name);
        drop(third);
        drop(world.locked("L", LockMode::Exclusive).unwrap());
        drop(elsewhere);
        assert!(world.open("L", OpenMode::Read).is_ok(), "{}: the file stays", world.name);
    }
}

#[test]
fn worlds_in_memory_are_apart() {
    let (one, other) = (MemoryVfs::new(), MemoryVfs::new());
    let path = Path::new("/f");
    one.open(path, OpenMode::CreateNew, SITE).unwrap();
    assert!(one.clone().open(path, OpenMode::Read, SITE).is_ok());
    assert!(other.open(path, OpenMode::Read, SITE).is_err());
    let _held = one.lock(path, LockMode::Exclusive, SITE).unwrap();
    assert!(one.clone().lock(path, LockMode::Exclusive, SITE).is_err());
    other.lock(path, LockMode::Exclusive, SITE).unwrap();
}

#[test]
fn a_real_lock_sees_through_links() {
    let world = worlds().swap_remove(0);
    let path = world.path("LOCK");
    let held = world.locked("LOCK", LockMode::Exclusive).unwrap();
    std::os::unix::fs::symlink(&path, world.path("soft")).unwrap();
    std::fs::hard_link(&path, world.path("hard")).unwrap();
    let alias = world._temp.as_ref().unwrap().path().join("alias");
    std::os::unix::fs::symlink(&world.dir, &alias).unwrap();
    for path in [world.path("soft"), world.path("hard"), alias.join("LOCK")] {
        for mode in [LockMode::Exclusive, LockMode::Shared] {
            let refused = world.vfs.lock(&path, mode, SITE).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::WouldBlock, "{path:?} {mode:?}");
        }
    }
    drop(held);
    world.vfs.lock(&alias.join("LOCK"), LockMode::Exclusive, SITE).unwrap();
}

#[test]
fn a_real_lock_is_seen_by_others_and_sees_theirs() {
    let world = worlds().swap_remove(0);
    world.create("LOCK", b"");
    let stranger = std::fs::File::open(world.path("LOCK")).unwrap();
    stranger.lock_shared().unwrap();
    assert_eq!(world.locked("LOCK", LockMode::Exclusive).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(world.locked("LOCK", LockMode::Shared).unwrap());
    stranger.unlock().unwrap();
    let held = world.locked("LOCK", LockMode::Exclusive).unwrap();
    assert!(stranger.try_lock_shared().is_err());
    drop(held);
    stranger.try_lock().unwrap();
}

#[test]
fn creating_does_not_follow_links() {
    let world = worlds().swap_remove(0);
    let target = world.path("target");
    std::os::unix::fs::symlink(&target, world.path("link")).unwrap();
    assert_eq!(world.refused("link", OpenMode::CreateNew), ErrorKind::AlreadyExists);
    assert!(!target.exists());
    let listed = world.vfs.list(&world.dir, SITE).unwrap();
    assert_eq!(listed, [Listed { name: "link".into(), is_file: false, len: 0 }]);
}

#[test]
fn a_directory_that_is_held_is_found_wherever_it_is_moved_to() {
    type Move = Box<dyn Fn(&Path, &Path)>;
    let (memory, faulty) = (MemoryVfs::new(), FaultyDisk::new(1));
    let temp = tempfile::tempdir().unwrap();
    let (of_memory, of_faulty) = (memory.clone(), faulty.clone());
    let worlds: [(Arc<dyn Vfs>, PathBuf, Move); 3] = [
        (
            Arc::new(RealVfs::new()),
            temp.path().into(),
            Box::new(|from, to| std::fs::rename(from, to).unwrap()),
        ),
        (Arc::new(memory), "/".into(), Box::new(move |from, to| of_memory.move_dir(from, to).unwrap())),
        (faulty.vfs(), "/".into(), Box::new(move |from, to| of_faulty.move_dir(from, to).unwrap())),
    ];
    for (vfs, root, move_dir) in worlds {
        let (dir, moved) = (root.join("dir"), root.join("moved"));
        vfs.create_dir(&dir.join("sub"), SITE).unwrap();
        let held = vfs.hold(&dir).unwrap().expect("each of them can hold");
        let itself = Path::new("");
        let id = held.id(itself).unwrap();
        assert_eq!(vfs.id(&dir).unwrap(), id);
        let file = held.open(Path::new("sub/f"), OpenMode::CreateNew, SITE).unwrap();
        assert_eq!(vfs.id(&dir.join("sub/f")).unwrap(), file.id().unwrap());
        assert_eq!(held.allocated(Path::new("sub/f")).unwrap(), 0);
        move_dir(&dir, &moved);
        vfs.create_dir(&dir.join("sub"), SITE).unwrap();
        assert_ne!(vfs.id(&dir).unwrap(), id, "another one lies there");
        assert_eq!((held.id(itself).unwrap(), vfs.id(&moved).unwrap()), (id, id));
        held.open(Path::new("g"), OpenMode::CreateNew, SITE).unwrap();
        let lock = held.lock(Path::new("g"), LockMode::Existing, SITE).unwrap();
        assert_eq!(lock.id().unwrap(), vfs.id(&moved.join("g")).unwrap());
        assert_eq!(lock.note(b"no", SITE).unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert_eq!(
            vfs.lock(&moved.join("g"), LockMode::Shared, SITE).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let none = held.lock(Path::new("no"), LockMode::Existing, SITE).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        held.create_dir(Path::new("sub"), SITE).unwrap();
        held.create_dir(Path::new("new"), SITE).unwrap();
        held.sync_dir(itself, SITE).unwrap();
        let no_parent = held.create_dir(Path::new("a/b"), SITE).unwrap_err();
        assert_eq!(no_parent.kind(), ErrorKind::NotFound, "never what it should lie in");
        held.remove_dir(Path::new("new"), SITE).unwrap();
        held.remove(Path::new("sub/f"), SITE).unwrap();
        let mut names: Vec<_> =
            held.list(itself, SITE).unwrap().into_iter().map(|listed| listed.name).collect();
        names.sort();
        assert_eq!(names, ["g", "sub"]);
        assert_eq!(vfs.list(&dir.join("sub"), SITE).unwrap(), []);
        drop(lock);
        held.remove(Path::new("g"), SITE).unwrap();
        held.remove_dir(Path::new("sub"), SITE).unwrap();
        vfs.remove_dir(&moved, SITE).unwrap();
        let gone = held.open(Path::new("f"), OpenMode::CreateNew, SITE).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "nothing is made in a directory that is gone");
    }
}
