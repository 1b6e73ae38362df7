//! Damaged and hostile files: every read ends in the right answer or in `Corrupt`.

use super::*;
use crate::error::{Error, ErrorKind};
use crate::format::page::{Child, checksum, encode, encode_branch_tail};

fn key(n: u64) -> Vec<u8> {
    format!("bucket/{n:05}").into_bytes()
}

/// A tree of a few pages and three levels.
fn small() -> (Arc<dyn File>, RootPtr) {
    let file: Arc<dyn File> = Arc::new(PlainFile::default());
    let pages = open(&file, ReadMode::Map);
    let mut index = Index::new(pages.tree(None).unwrap());
    for n in 0..12 {
        let long = [key(n), vec![b'x'; 1000]].concat();
        put(&mut index, &long, &Kept::new(n, (n % 4) as u8, vec![n as u8; 300]));
    }
    checkpoint(&mut index);
    let root = index.tree.root().unwrap();
    assert!(root.height >= 1);
    (file, root)
}

fn expect_corrupt(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("index.tree"), "{error}");
}

/// Reads everything in every way. Says whether nothing failed; then all was right, if `right` says what that is.
fn read_all(bytes: &[u8], root: RootPtr, right: Option<&[(Vec<u8>, Kept)]>) -> bool {
    let pages = open(&file_of(bytes), ReadMode::Map);
    let tree = match pages.tree(Some(root)) {
        Ok(tree) => tree,
        Err(error) => {
            expect_corrupt(&error);
            return false;
        }
    };
    let mut whole = true;
    let mut failed = |error: Error| {
        expect_corrupt(&error);
        whole = false;
    };
    let report = tree.verify(&mut |_| true).unwrap();
    let index = Index::new(tree);
    for (key, kept) in right.unwrap_or(&[]) {
        match index.get(key) {
            Ok(item) => assert_eq!(item.map(|item| Kept::of(&item)).as_ref(), Some(kept)),
            Err(error) => failed(error),
        }
    }
    for n in 0..14 {
        index.get(&key(n)).map(|_| ()).unwrap_or_else(&mut failed);
        index.totals(&key(n), Some(&key(n + 3))).map(|_| ()).unwrap_or_else(&mut failed);
    }
    for forward in [true, false] {
        let mut cursor = index.cursor();
        for _ in 0..100_000 {
            let step = if forward { cursor.next() } else { cursor.prev() };
            if let Err(error) = step.and_then(|()| cursor.item().map(|_| ())) {
                failed(error);
                break;
            }
            if cursor.key().is_none() {
                break;
            }
        }
    }
    let mut changed = index.clone();
    for n in [0, 5, 11] {
        changed.put(&key(n), Kept::new(9, 1, vec![]).as_new(), &mut |_| {}).unwrap_or_else(&mut failed);
    }
    match merge(&changed.tree, &changed.active, &mut |_, _| true) {
        Ok(merged) => merged.abandon(),
        Err(error) => failed(error),
    }
    if right.is_some() {
        assert_eq!(whole, report.problems.is_empty(), "verify sees what reading sees");
    }
    whole
}

#[test]
fn a_flipped_byte_is_corrupt_or_does_not_matter() {
    let (file, root) = small();
    let bytes = bytes_of(&file);
    let right: Vec<(Vec<u8>, Kept)> = {
        let index = Index::new(open(&file, ReadMode::Map).tree(Some(root)).unwrap());
        let mut cursor = index.cursor();
        std::iter::from_fn(|| {
            cursor.next().unwrap();
            Some((cursor.key()?.to_vec(), Kept::of(&cursor.item().unwrap().unwrap())))
        })
        .collect()
    };
    assert_eq!(right.len(), 12);
    assert!(read_all(&bytes, root, Some(&right)));
    let used = {
        let tree = open(&file, ReadMode::Map).tree(Some(root)).unwrap();
        assert_sound(&tree).pages as usize * PAGE
    };
    assert!(bytes[used..].iter().all(|byte| *byte == 0), "the tree lies at the start of its file");
    let mut damaged = bytes[..used].to_vec();
    for at in 0..used {
        damaged[at] ^= 1 << (at % 8);
        assert!(!read_all(&damaged, root, Some(&right)), "a flip at {at} went unseen");
        damaged[at] ^= 1 << (at % 8);
    }
}

#[test]
fn a_page_in_another_place_or_file_is_corrupt() {
    let (file, root) = small();
    let bytes = bytes_of(&file);
    let mut swapped = bytes.clone();
    swapped.copy_within(PAGE..2 * PAGE, 0);
    assert!(!read_all(&swapped, root, Some(&[])));
    let other = PageFile::open(file, "index.tree".to_owned(), SALT + 1, ReadMode::Map, None).unwrap();
    expect_corrupt(&other.tree(Some(root)).unwrap_err());
    assert!(!read_all(&bytes, RootPtr { page: 1 << 60, ..root }, Some(&[])));
    assert!(!read_all(&bytes, RootPtr { height: 200, ..root }, Some(&[])));
    assert!(!read_all(&bytes[..0], root, Some(&[])));
}

/// Gives a page a checksum that is right.
fn seal(page: &mut [u8], number: u64) -> u32 {
    let sum = checksum((&*page).try_into().unwrap(), SALT, number);
    page[..4].copy_from_slice(&sum.to_le_bytes());
    sum
}

#[test]
fn hostile_pages_with_right_checksums_never_panic() {
    let (file, root) = small();
    let good = bytes_of(&file);
    let dice = &mut Dice(77);
    let mut refused = 0;
    for _ in 0..4000 {
        // A root that is damaged in a few places, or garbage behind a header that passes.
        let number = root.page as usize;
        let mut bytes = good.clone();
        let page = &mut bytes[number * PAGE..(number + 1) * PAGE];
        let wild = dice.below(3) == 0;
        if wild {
            page[6..8].copy_from_slice(&(1 + dice.below(600) as u16).to_le_bytes());
            page[16..18].copy_from_slice(&(dice.below(40) as u16).to_le_bytes());
            page[24..].iter_mut().for_each(|byte| *byte = dice.roll() as u8);
        }
        for _ in 0..1 + dice.below(6) {
            let span = if dice.below(2) == 0 { 64 } else { PAGE as u64 };
            let at = dice.below(span) as usize;
            page[at] = dice.roll() as u8;
        }
        let checksum = seal(page, root.page);
        refused += u32::from(!read_all(&bytes, RootPtr { checksum, ..root }, None));
    }
    assert!(refused > 2000);
}

#[test]
fn hostile_leaves_with_right_checksums_never_panic() {
    let dice = &mut Dice(78);
    let file: Arc<dyn File> = Arc::new(PlainFile::default());
    let mut index = Index::new(open(&file, ReadMode::Map).tree(None).unwrap());
    (0..60).for_each(|n| put(&mut index, &key(n), &Kept::new(n, (n % 8) as u8, vec![1; 20])));
    checkpoint(&mut index);
    let root = index.tree.root().unwrap();
    assert_eq!(root.height, 0);
    let good = bytes_of(&file);
    for _ in 0..10_000 {
        let mut bytes = good.clone();
        let page = &mut bytes[root.page as usize * PAGE..(root.page as usize + 1) * PAGE];
        for _ in 0..1 + dice.below(8) {
            let span = if dice.below(2) == 0 { 200 } else { PAGE as u64 };
            let at = dice.below(span) as usize;
            page[at] = dice.roll() as u8;
        }
        let checksum = seal(page, root.page);
        read_all(&bytes, RootPtr { checksum, ..root }, None);
    }
}

#[test]
fn branches_that_lead_to_the_same_pages_again_and_again_end() {
    let mut bytes = vec![0; 17 * PAGE];
    let mut tail = Vec::new();
    crate::format::page::encode_leaf_tail(&mut tail, 1, true, Weight { slot: 7, objects: 1, bytes: 1 }, b"");
    let page: &mut [u8; PAGE] = (&mut bytes[..PAGE]).try_into().unwrap();
    let mut below = encode(page, (0, 0, SALT), 1, |_| (b"m", &tail));
    for height in 1..17u8 {
        let mut tail = Vec::new();
        let child = Child { page: u64::from(height) - 1, checksum: below };
        encode_branch_tail(&mut tail, child, &Totals::default());
        let keys: Vec<Vec<u8>> = (0..200).map(key).collect();
        let page = &mut bytes[height as usize * PAGE..(height as usize + 1) * PAGE];
        let page: &mut [u8; PAGE] = page.try_into().unwrap();
        let cell = |index: usize| (&keys[index][..], &tail[..]);
        below = encode(page, (u64::from(height), height, SALT), 200, cell);
    }
    let root = RootPtr { page: 16, checksum: below, height: 16 };
    assert!(!read_all(&bytes, root, None));
}
