//! Listings against a model that looks at every key: prefix, delimiter, start, limit, pages and usage.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ossicle::testing::FaultyDisk;
use ossicle::{Entry, ListOptions, Store};
use ossicle_fuzz::{BUCKET, builder};

/// Few letters, so that keys share prefixes; the last of all letters, and one of two bytes.
const LETTERS: [&str; 8] = ["a", "b", "/", "-", "\0", "ä", "\u{10FFFF}", "aa/"];

#[derive(Debug, Arbitrary)]
struct Word(Vec<u8>);

impl Word {
    fn text(&self) -> String {
        self.0.iter().take(24).map(|letter| LETTERS[usize::from(*letter) % LETTERS.len()]).collect()
    }
}

#[derive(Debug, Arbitrary)]
struct Case {
    keys: Vec<Word>,
    /// Which keys are deleted again, by their place.
    gone: Vec<u8>,
    /// How many of the keys are in the tree, not only in memory.
    in_tree: u8,
    questions: Vec<Question>,
}

#[derive(Debug, Arbitrary)]
struct Question {
    prefix: Word,
    delimiter: Word,
    start_after: Word,
    limit: u8,
}

fuzz_target!(|case: Case| {
    let disk = FaultyDisk::new(1);
    let store = builder(&disk, 1, case.in_tree % 2 == 0).open().expect("a new store");
    let keys = fill(&store, &case);
    for question in case.questions.iter().take(8) {
        ask(&store, &keys, question);
    }
});

fn fill(store: &Store, case: &Case) -> BTreeSet<String> {
    let bucket = store.create_bucket(BUCKET).expect("a new bucket");
    let mut keys = BTreeSet::new();
    let words: Vec<String> = case.keys.iter().take(64).map(Word::text).collect();
    let middle = usize::from(case.in_tree).min(words.len());
    let (older, newer) = words.split_at(middle);
    for (round, part) in [older, newer].into_iter().enumerate() {
        store
            .write(|tx| {
                for key in part.iter().filter(|key| !key.is_empty() && !key.starts_with('/')) {
                    tx.put(&bucket, key, &[round as u8; 3])?;
                    keys.insert(key.clone());
                }
                for at in &case.gone {
                    if let Some(key) = part.get(usize::from(*at)).filter(|key| keys.remove(*key)) {
                        tx.delete(&bucket, key)?;
                    }
                }
                Ok(())
            })
            .expect("a write without faults");
        if round == 0 && !older.is_empty() {
            store.checkpoint().expect("a checkpoint without faults");
        }
    }
    keys
}

/// What a listing should say, by looking at every key.
fn expected(
    keys: &BTreeSet<String>,
    prefix: &str,
    delimiter: &str,
    start_after: &str,
) -> Vec<(String, bool)> {
    let mut entries = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let cut = if delimiter.is_empty() { None } else { key[prefix.len()..].find(delimiter) };
        let entry = match cut {
            Some(at) => (key[..prefix.len() + at + delimiter.len()].to_string(), true),
            None => (key.clone(), false),
        };
        if (start_after.is_empty() || entry.0.as_str() > start_after) && entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

fn told(entry: &Entry) -> (String, bool) {
    (entry.name().to_string(), matches!(entry, Entry::Prefix(_)))
}

fn ask(store: &Store, keys: &BTreeSet<String>, question: &Question) {
    let bucket = store.bucket(BUCKET).expect("the bucket");
    let (prefix, delimiter) = (question.prefix.text(), question.delimiter.text());
    let start_after = question.start_after.text();
    let wanted = expected(keys, &prefix, &delimiter, &start_after);
    let options = ListOptions::new().prefix(&prefix).delimiter(&delimiter).start_after(&start_after);

    let all: Vec<_> = bucket.list_with(options.clone()).unwrap().map(|entry| told(&entry.unwrap())).collect();
    assert_eq!(all, wanted, "the iterator, {question:?}");

    let limit = usize::from(question.limit % 7) + 1;
    let some: Vec<_> =
        bucket.list_with(options.clone().limit(limit)).unwrap().map(|entry| told(&entry.unwrap())).collect();
    assert_eq!(some, wanted[..limit.min(wanted.len())], "the iterator with a limit, {question:?}");

    let (mut paged, mut after) = (Vec::new(), start_after.clone());
    loop {
        let page = bucket.list_page(options.clone().start_after(&after).limit(limit)).unwrap();
        assert!(page.entries.len() <= limit);
        paged.extend(page.entries.iter().map(told));
        assert!(paged.len() <= wanted.len(), "pages go round in a circle, {question:?}");
        match page.next {
            Some(next) => {
                assert_eq!(page.entries.len(), limit, "a page that is not the last is full");
                after = next;
            }
            None => break,
        }
    }
    assert_eq!(paged, wanted, "page by page, {question:?}");

    let below = keys.iter().filter(|key| key.starts_with(&prefix)).count() as u64;
    let usage = bucket.usage(&prefix).unwrap();
    assert_eq!((usage.objects, usage.bytes), (below, below * 3), "usage of {prefix:?}");
}
