//! Readers beside a writer, and a writer that fails.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::env::RealVfs;

fn key(n: u64) -> Vec<u8> {
    format!("bucket/object-{n:06}").into_bytes()
}

/// Every item of a round has the round in its value, so a reader that sees two rounds in one clone sees a mistake.
fn churn_beside_readers(file: Arc<dyn File>, mode: ReadMode) {
    const KEYS: u64 = 2000;
    let pages = open(&file, mode);
    let mut index = Index::new(pages.tree(None).unwrap());
    let write = |index: &mut Index, round: u64| {
        (0..KEYS).for_each(|n| put(index, &key(n), &Kept::new(round, 0, round.to_le_bytes().to_vec())));
    };
    write(&mut index, 0);
    checkpoint(&mut index);
    let (published, done) = (Mutex::new(index.clone()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (published, done) = (&published, &done);
            scope.spawn(move || {
                let dice = &mut Dice(seed);
                while !done.load(Ordering::Relaxed) {
                    let index = published.lock().unwrap().clone();
                    let round = index.get(&key(0)).unwrap().unwrap().lsn;
                    for _ in 0..500 {
                        let item = index.get(&key(dice.below(KEYS))).unwrap().unwrap();
                        assert_eq!((item.lsn, item.value()), (round, &round.to_le_bytes()[..]));
                    }
                    assert_eq!(index.totals(&[], None).unwrap().objects(0), KEYS as i64);
                }
            });
        }
        for round in 1..100 {
            write(&mut index, round);
            *published.lock().unwrap() = index.clone();
            checkpoint(&mut index);
            *published.lock().unwrap() = index.clone();
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(published);
    let live = assert_sound(&index.tree).pages;
    assert_eq!(pages.file_pages() - pages.free_pages(), live);
    // How far the file has grown depends on how long some reader was kept waiting. Without readers it grows no more.
    (100..103).for_each(|round| {
        write(&mut index, round);
        checkpoint(&mut index);
    });
    let grown = pages.file_pages();
    (103..110).for_each(|round| {
        write(&mut index, round);
        checkpoint(&mut index);
    });
    assert_eq!(pages.file_pages(), grown, "pages for {live}");
}

#[test]
fn a_reader_sees_one_version_through_a_map() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("index.tree");
    let file = RealVfs::new().open(&path, OpenMode::CreateNew, Site::INDEX_OPEN).unwrap();
    churn_beside_readers(file, ReadMode::Map);
}

#[test]
fn a_reader_sees_one_version_through_the_cache() {
    churn_beside_readers(Arc::new(PlainFile::default()), ReadMode::Positioned { cache_bytes: 64 << 10 });
}

#[test]
fn a_merge_that_fails_changes_nothing_and_gives_its_pages_back() {
    let plain = Arc::new(PlainFile::default());
    let file: Arc<dyn File> = plain.clone();
    let pages = open(&file, ReadMode::Map);
    let mut index = Index::new(pages.tree(None).unwrap());
    (0..50_000).for_each(|n| put(&mut index, &key(n), &Kept::new(1, 0, vec![1; 30])));
    checkpoint(&mut index);
    (0..50_000).for_each(|n| put(&mut index, &key(n), &Kept::new(2, 0, vec![2; 30])));
    index.freeze();
    let used = pages.file_pages() - pages.free_pages();
    for writes in 1..5 {
        plain.1.store(writes, Ordering::Relaxed);
        let error = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| false).unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!(pages.file_pages() - pages.free_pages(), used);
        assert_eq!(index.tree.get(&key(7)).unwrap().unwrap().value(), [1; 30]);
    }
    let (tree, dropped) =
        merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| false).unwrap().publish();
    index.settle(tree, &dropped);
    assert_eq!(assert_sound(&index.tree).items, 50_000);
}
