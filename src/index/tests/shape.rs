//! The shape of trees: how full pages are, how space is used again, what a merge costs.

use super::*;
use crate::format::page::{Child, Page};

fn key(n: u64) -> Vec<u8> {
    format!("bucket/00000001/object-{n:010}").into_bytes()
}

fn empty(mode: ReadMode) -> (Arc<PageFile>, Index) {
    let pages = open(&mapped_file(), mode);
    let index = Index::new(pages.tree(None).unwrap());
    (pages, index)
}

fn fill(index: &Index, items: u64) -> f64 {
    let report = assert_sound(&index.tree);
    assert_eq!(report.items, items);
    // The bytes of a cell in a page whose keys share all but three bytes: hint and slot, length, suffix, flags, lsn, weight,
    // length, value.
    (items * (4 + 1 + 3 + 1 + 3 + 2 + 1 + 30)) as f64 / (report.pages * PAGE as u64) as f64
}

#[test]
fn keys_in_order_fill_pages() {
    for (batch, total) in [(20_000, 20_000), (500, 20_000), (10, 5000)] {
        let (_, mut index) = empty(ReadMode::Map);
        for n in 0..total {
            put(&mut index, &key(n), &Kept::new(100_000 + n, 0, vec![1; 30]));
            if n % batch == batch - 1 {
                checkpoint(&mut index);
            }
        }
        let fill = fill(&index, total);
        assert!(fill > 0.85, "batches of {batch} fill {fill}");
    }
}

#[test]
fn keys_in_order_before_others_fill_pages() {
    let (_, mut index) = empty(ReadMode::Map);
    for n in 0..5000 {
        put(&mut index, &key(1_000_000_000 + n), &Kept::new(100_000 + n, 0, vec![1; 30]));
    }
    checkpoint(&mut index);
    for n in 0..10_000 {
        put(&mut index, &key(n), &Kept::new(100_000 + n, 0, vec![1; 30]));
        if n % 10 == 9 {
            checkpoint(&mut index);
        }
    }
    let fill = fill(&index, 15_000);
    assert!(fill > 0.75, "{fill}");
}

#[test]
fn keys_at_random_half_fill_pages() {
    let (_, mut index) = empty(ReadMode::Map);
    for n in 0..20_000 {
        put(&mut index, &key(n * 7919 % 20_011), &Kept::new(100_000 + n, 0, vec![1; 30]));
        if n % 100 == 99 {
            checkpoint(&mut index);
        }
    }
    let fill = fill(&index, 20_000);
    assert!(fill > 0.5, "{fill}");
}

#[test]
fn a_merge_costs_what_it_touches() {
    let (_, mut index) = empty(ReadMode::Map);
    (0..50_000).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![1; 30])));
    checkpoint(&mut index);
    let height = u64::from(index.tree.root().unwrap().height);
    put(&mut index, &key(25_000), &Kept::new(60_000, 0, vec![2; 30]));
    assert_eq!(checkpoint(&mut index), height + 1, "one path");
    (25_000..25_010).for_each(|n| put(&mut index, &key(n), &Kept::new(60_001, 0, vec![3; 30])));
    assert!(checkpoint(&mut index) <= 2 * (height + 1));
}

#[test]
fn a_merge_without_changes_writes_nothing() {
    let (_, mut index) = empty(ReadMode::Map);
    put(&mut index, &key(1), &Kept::new(1, 0, vec![]));
    checkpoint(&mut index);
    let root = index.tree.root();
    assert_eq!(checkpoint(&mut index), 0);
    assert_eq!(index.tree.root(), root);
}

#[test]
fn deleting_shrinks_the_tree_to_nothing() {
    let (pages, mut index) = empty(ReadMode::Map);
    let dice = &mut Dice(5);
    (0..20_000).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![1; 30])));
    checkpoint(&mut index);
    let mut left: Vec<u64> = (0..20_000).collect();
    while !left.is_empty() {
        for _ in 0..500.min(left.len()) {
            let n = left.swap_remove(dice.below(left.len() as u64) as usize);
            put(&mut index, &key(n), &Kept::new(n, TOMBSTONE_SLOT, vec![]));
        }
        index.freeze();
        let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| true).unwrap();
        let (tree, dropped) = merged.publish();
        index.settle(tree, &dropped);
        let report = assert_sound(&index.tree);
        assert_eq!(report.items, left.len() as u64);
        let bytes = left.len() as u64 * 45;
        assert!(report.pages <= 6 + bytes / (PAGE as u64 / 5), "{} pages for {bytes} bytes", report.pages);
    }
    assert_eq!(index.tree.root(), None);
    assert_eq!(pages.free_pages(), pages.file_pages(), "an empty tree needs no page");
}

#[test]
fn churn_uses_pages_again() {
    for mode in [ReadMode::Map, ReadMode::Positioned { cache_bytes: 1 << 20 }] {
        let (pages, mut index) = empty(mode);
        (0..20_000).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![1; 30])));
        checkpoint(&mut index);
        let dice = &mut Dice(9);
        for round in 0..200 {
            for _ in 0..300 {
                put(&mut index, &key(dice.below(20_000)), &Kept::new(round, 0, vec![round as u8; 30]));
            }
            checkpoint(&mut index);
        }
        let live = assert_sound(&index.tree).pages;
        assert!(pages.file_pages() <= 2 * live + 128, "{} pages for {live}", pages.file_pages());
        assert_sound(&index.tree);
    }
}

#[test]
fn pages_wait_for_old_trees_and_come_back_when_abandoned() {
    let (pages, mut index) = empty(ReadMode::Map);
    (0..5000).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![1; 30])));
    checkpoint(&mut index);
    let used = |pages: &PageFile| pages.file_pages() - pages.free_pages();
    let before = used(&pages);
    let old = index.clone();
    (0..5000).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![2; 30])));
    index.freeze();
    let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| false).unwrap();
    let taken = merged.pages_written;
    assert_eq!(used(&pages), before + taken);
    let reader = merged.tree.clone();
    merged.abandon();
    assert_eq!(used(&pages), before + taken, "someone still reads the abandoned version");
    drop(reader);
    assert_eq!(used(&pages), before);
    let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| false).unwrap();
    let (tree, dropped) = merged.publish();
    index.settle(tree, &dropped);
    assert_eq!(used(&pages), before + taken, "the old version is still alive");
    assert_eq!(old.get(&key(7)).unwrap().unwrap().value(), [1; 30]);
    drop(old);
    assert_eq!(used(&pages), assert_sound(&index.tree).pages);
}

#[test]
fn what_is_free_is_learnt_again_after_opening() {
    let file = mapped_file();
    let pages = open(&file, ReadMode::Map);
    let mut index = Index::new(pages.tree(None).unwrap());
    for round in 0..5 {
        (0..5000).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![round; 30])));
        checkpoint(&mut index);
    }
    let (root, size) = (index.tree.root(), pages.file_pages());
    drop((index, pages));
    let pages = open(&file, ReadMode::Map);
    let mut index = Index::new(pages.tree(root).unwrap());
    assert_eq!(pages.free_pages(), 0);
    put(&mut index, &key(1), &Kept::new(9, 0, vec![9; 30]));
    checkpoint(&mut index);
    assert_eq!(pages.file_pages(), size);
    assert_eq!(pages.file_pages() - pages.free_pages(), assert_sound(&index.tree).pages);
}

#[test]
fn a_copy_is_equal_and_compact() {
    let (_, mut index) = empty(ReadMode::Map);
    let dice = &mut Dice(3);
    for n in 0..20_000 {
        put(&mut index, &key(dice.below(1 << 30)), &Kept::new(n, (n % 8) as u8, vec![1; 30]));
        if n % 500 == 499 {
            checkpoint(&mut index);
        }
    }
    let target = open(&mapped_file(), ReadMode::Map);
    let copied = copy_into(&index.tree, &target, &mut || Ok(())).unwrap();
    let copy = Index::new(copied.publish().0);
    let (old, new) = (assert_sound(&index.tree), assert_sound(&copy.tree));
    assert_eq!(old.items, new.items);
    assert!(new.pages * 20 < old.pages * 19, "{} pages are not fewer than {}", new.pages, old.pages);
    assert_eq!(index.totals(&[], None).unwrap(), copy.totals(&[], None).unwrap());
    let (mut one, mut other) = (index.cursor().with_tombstones(), copy.cursor().with_tombstones());
    loop {
        one.next().unwrap();
        other.next().unwrap();
        assert_eq!(one.key(), other.key());
        if one.key().is_none() {
            break;
        }
        assert_eq!(Kept::of(&one.item().unwrap().unwrap()), Kept::of(&other.item().unwrap().unwrap()));
    }
}

#[test]
fn the_largest_keys_and_values_fit() {
    let (_, mut index) = empty(ReadMode::Map);
    let dice = &mut Dice(1);
    for round in 0..30u64 {
        for _ in 0..20 {
            let mut key = vec![dice.below(3) as u8; MAX_KEY];
            let (place, byte) = (dice.below(MAX_KEY as u64) as usize, dice.roll() as u8);
            key[place] = byte;
            let weight = Weight { slot: 6, objects: 1 << 48, bytes: 1 << 48 };
            let item = Kept { lsn: u64::MAX, tombstone: false, weight, value: vec![byte; MAX_VALUE] };
            put(&mut index, &key, &item);
            assert_eq!(Kept::of(&index.get(&key).unwrap().unwrap()), item);
        }
        if round % 3 == 0 {
            checkpoint(&mut index);
            assert_sound(&index.tree);
        }
    }
}

/// How many bytes each page of a subtree uses, the root of the tree left out.
fn sizes(bytes: &[u8], child: Child, height: u8, out: &mut Vec<usize>) {
    let raw = &bytes[child.page as usize * PAGE..(child.page as usize + 1) * PAGE];
    let page = Page::open(raw, child.page, height).unwrap();
    for index in (0..page.count()).filter(|_| height > 0) {
        let below = page.child(index).unwrap();
        let raw = &bytes[below.page as usize * PAGE..(below.page as usize + 1) * PAGE];
        out.push(PAGE - raw.iter().rev().take_while(|byte| **byte == 0).count());
        sizes(bytes, below, height - 1, out);
    }
}

#[test]
fn deleting_here_and_there_leaves_no_meagre_page() {
    const KEYS: u64 = 20_000;
    let file = mapped_file();
    let mut index = Index::new(open(&file, ReadMode::Map).tree(None).unwrap());
    (0..KEYS).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![1; 30])));
    checkpoint(&mut index);
    let (dice, mut end) = (&mut Dice(11), KEYS);
    for _ in 0..400 {
        let start = if dice.below(5) == 0 {
            end -= 40;
            end
        } else {
            dice.below(end)
        };
        for n in (start..start + 70).filter(|n| n % 16 > 0 || *n >= end) {
            put(&mut index, &key(n), &Kept::new(n, TOMBSTONE_SLOT, vec![]));
        }
        index.freeze();
        let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| true).unwrap();
        let (tree, dropped) = merged.publish();
        index.settle(tree, &dropped);
        let (mut found, root) = (Vec::new(), index.tree.root().unwrap());
        sizes(&bytes_of(&file), Child { page: root.page, checksum: root.checksum }, root.height, &mut found);
        // Where pages are cut their size is an upper bound; it is off by a few bytes.
        let meagre = found.iter().filter(|size| **size < PAGE / 4 - 64).count();
        assert_eq!(meagre, 0, "{found:?}");
    }
    assert_sound(&index.tree);
}

#[test]
fn a_page_that_was_written_anew_is_verified_anew() {
    let file = mapped_file();
    let pages = open(&file, ReadMode::Map);
    let mut index = Index::new(pages.tree(None).unwrap());
    for round in 0..20u8 {
        (0..200).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![round; 30])));
        checkpoint(&mut index);
        for n in 0..200 {
            assert_eq!(index.get(&key(n)).unwrap().unwrap().value(), [round; 30]);
        }
    }
    assert!(pages.free_pages() > 0, "all of it fits into the pages of the start");
    (0..200).for_each(|n| put(&mut index, &key(n), &Kept::new(n, 0, vec![99; 30])));
    checkpoint(&mut index);
    let at = bytes_of(&file).windows(30).position(|bytes| bytes == [99; 30]).unwrap() as u64;
    file.write_at(&[std::io::IoSlice::new(&[98])], at, Site::INDEX_WRITE).unwrap();
    let damaged = (0..200).filter(|n| index.get(&key(*n)).is_err()).count();
    assert!(damaged > 0);
}

#[test]
fn no_merge_writes_more_pages_than_are_kept_for_it() {
    for (seed, longest) in [(1, 20), (2, 300), (3, 700)] {
        let dice = &mut Dice(seed);
        let pages = open(&mapped_file(), ReadMode::Map);
        let mut index = Index::new(pages.tree(None).unwrap());
        for round in 0..60 {
            let used = pages.file_pages() - pages.free_pages();
            for _ in 0..[1, 3, 40, 900][round as usize % 4] {
                let key = format!("bucket/{:05}", dice.below(4000)).into_bytes();
                let mut item = Kept::new(round, 0, vec![7; dice.below(longest) as usize]);
                item.tombstone = round % 3 == 2;
                put(&mut index, &key, &item);
            }
            let most = crate::index::pages_needed(index.active.len(), index.active.bytes(), used);
            index.freeze();
            let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| true).unwrap();
            assert!(merged.pages_written <= most, "{} of {most} pages, {used} used", merged.pages_written);
            let (tree, dropped) = merged.publish();
            index.settle(tree, &dropped);
        }
    }
}
