//! Listings, totals, and looking at everything.

use ossicle::{Bytes, ListOptions, RowRange, Rows, Snapshot, SnapshotBucket};

use super::Play;
use super::facts::{Facts, Seen, list, list_options, same, usage_of};
use super::objects::read_whole;
use super::versions::Shown;
use crate::history::{BUCKETS, Lines, Spot, VALID};
use crate::reference::{Handle, Line, List, Reference, Usage};

impl Play<'_> {
    pub(super) fn list(&mut self, at: usize, lines: &Lines) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let versioned = self.model.keeps_versions(&handle);
        let seen = |line: &Line| Seen::told(line, versioned);
        let told = self.model.list(&handle, &list(lines));
        let real = bucket.list_with(list_options(lines));
        let real = real.map(|listing| listing.map(|entry| Seen::of(&entry.unwrap())).collect::<Vec<_>>());
        same(real, told.map(|(lines, _)| lines.iter().map(seen).collect()));
        let names = bucket.names(list_options(lines)).map(|mut names| {
            let mut seen = Vec::new();
            while let Some(name) = names.next().unwrap() {
                seen.push(name.to_string());
            }
            seen
        });
        let told_names = self.model.list(&handle, &list(lines));
        same(names, told_names.map(|(lines, _)| lines.iter().map(|line| line.name().to_string()).collect()));
        let page = bucket.list_page(list_options(lines)).map(|page| {
            let seen: Vec<_> = page.entries.iter().map(Seen::of).collect();
            (seen, page.next)
        });
        let limit = Some(lines.limit.unwrap_or(1000));
        let told = self.model.list(&handle, &List { limit, ..list(lines) }).map(|(lines, more)| {
            let next = lines.last().filter(|_| more).map(|line| line.name().to_string());
            (lines.iter().map(seen).collect(), next)
        });
        same(page, told);
    }

    /// Page by page, a listing is the same as at once.
    pub(super) fn pages(&mut self, at: usize, lines: &Lines) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let versioned = self.model.keeps_versions(&handle);
        let step = lines.limit.unwrap_or(3).max(1);
        let mut seen = Vec::new();
        let mut start_after = lines.start_after.clone();
        let told = self.model.list(&handle, &List { limit: None, ..list(lines) });
        let real = loop {
            let options = list_options(&Lines { start_after, limit: Some(step), ..lines.clone() });
            match bucket.list_page(options) {
                Err(error) => break Err(error),
                Ok(page) => {
                    self.played += 1;
                    assert!(page.entries.len() <= step);
                    assert!(page.next.is_none() || page.entries.len() == step, "a short page in the middle");
                    seen.extend(page.entries.iter().map(Seen::of));
                    match page.next {
                        Some(next) => start_after = next,
                        None => break Ok(seen),
                    }
                }
            }
        };
        let told = told.map(|(lines, _)| lines.iter().map(|line| Seen::told(line, versioned)).collect());
        same(real, told);
    }

    pub(super) fn usage(&mut self, at: &Spot) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let real = bucket.usage(&at.key).map(|usage| usage_of(&usage));
        same(real, self.model.usage(&handle, &at.key));
    }

    pub(super) fn look_at_all(&mut self) {
        assert_eq!(self.names(), self.model.bucket_names());
        let usage = self.store.usage().unwrap();
        assert_eq!(usage_of(&usage), self.model.usage_of_all());
        let snapshot = self.store.snapshot().unwrap();
        self.played += look_at_snapshot(&snapshot, &self.model, false);
        for (bucket, handle) in self.handles.values().flatten() {
            let real = bucket
                .list("")
                .map(|listing| listing.map(|entry| Seen::of(&entry.unwrap())).collect::<Vec<_>>());
            let versioned = self.model.keeps_versions(handle);
            let told = self.model.list(handle, &List::default());
            let told = told.map(|(lines, _)| lines.iter().map(|line| Seen::told(line, versioned)).collect());
            same(real, told);
        }
    }
}

/// Compares everything that a snapshot shows with the reference of its moment. Answers how much that was.
pub fn look_at_snapshot(snapshot: &Snapshot, model: &Reference, past: bool) -> u64 {
    let mut looked = 0;
    let usage = snapshot.usage().unwrap();
    // Uploads in progress have no past.
    let without = |usage: Usage| if past { Usage { uploads: 0, upload_bytes: 0, ..usage } } else { usage };
    assert_eq!(without(usage_of(&usage)), without(model.usage_of_all()));
    for name in &BUCKETS[..VALID] {
        let (real, told) = (snapshot.bucket(name), model.bucket(name));
        if let (Ok(bucket), Ok(handle)) = (&real, &told) {
            looked += look_at_bucket(bucket, model, handle, without);
        }
        same(real.map(|bucket| bucket.name().to_string()), told.map(|handle| handle.name));
    }
    for ((table, key), value) in model.rows() {
        assert!(snapshot.row(table, key).unwrap().unwrap() == *value);
        looked += 1;
    }
    // Of the retained past, rows are had by their keys alone.
    for table in (!past).then_some(["t", "u", "t/u", "\u{e9}"]).into_iter().flatten() {
        let real: Vec<_> = snapshot.rows(table, ..).unwrap().map(|row| row_of(row.unwrap())).collect();
        assert_eq!(real, model.rows_in(table, &[], None).unwrap());
    }
    looked
}

/// The range from a key on and before another.
pub(super) fn row_range(from: &[u8], end: Option<&[u8]>) -> RowRange {
    match end {
        Some(end) => (from..end).into(),
        None => (from..).into(),
    }
}

/// All rows in order, read from the back if that is wanted.
pub(super) fn rows_of(rows: Rows<'_>, back: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    if !back {
        return rows.map(|row| row_of(row.unwrap())).collect();
    }
    let mut all: Vec<_> = rows.rev().map(|row| row_of(row.unwrap())).collect();
    all.reverse();
    all
}

/// A row, to be compared.
fn row_of((key, value): (Bytes, Bytes)) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

pub(super) fn look_at_bucket(
    bucket: &SnapshotBucket,
    model: &Reference,
    handle: &Handle,
    usage_told: impl Fn(Usage) -> Usage,
) -> u64 {
    let (lines, _) = model.list(handle, &List::default()).unwrap();
    let seen: Vec<Seen> = bucket.list("").unwrap().map(|entry| Seen::of(&entry.unwrap())).collect();
    let versioned = model.keeps_versions(handle);
    assert_eq!(seen, lines.iter().map(|line| Seen::told(line, versioned)).collect::<Vec<_>>());
    let (told, _) = model.versions(handle, &List::default(), None).unwrap();
    let shown: Vec<Shown> = bucket.versions("").unwrap().map(|entry| Shown::of(&entry.unwrap())).collect();
    assert_eq!(shown, told.iter().map(|line| Shown::told(line, versioned)).collect::<Vec<_>>());
    for (at, line) in lines.iter().enumerate() {
        let Line::Object(key, object) = line else { continue };
        let told =
            model.follow(handle, object).and_then(|told| told.check_readable(model.now).map(|()| told));
        match (bucket.get(key), told) {
            (Ok(found), Ok(told)) => read_whole(found, &told.body, at),
            (real, told) => same(real.map(|_| ()), told.map(|_| ())),
        }
        assert!(bucket.exists(key).unwrap());
        let told = model.follow(handle, object).map(|told| Facts::told(key, &told, versioned));
        same(bucket.head(key).map(|meta| Facts::of(&meta)), told);
    }
    let backwards = bucket.list_with(ListOptions::new().descending()).unwrap();
    assert!(backwards.map(|entry| Seen::of(&entry.unwrap())).eq(seen.into_iter().rev()));
    let page = bucket.list_page(ListOptions::new()).unwrap();
    assert_eq!((page.entries.len(), page.next.is_some()), (lines.len().min(1000), lines.len() > 1000));
    let page = bucket.versions_page(ListOptions::new()).unwrap();
    assert_eq!((page.entries.len(), page.next_key.is_some()), (told.len().min(1000), told.len() > 1000));
    for prefix in ["", "a", "a/", "many/0", "\u{1F408}"] {
        let usage = bucket.usage(prefix).unwrap();
        assert_eq!(usage_told(usage_of(&usage)), usage_told(model.usage(handle, prefix).unwrap()));
    }
    lines.len() as u64 + told.len() as u64 + 6
}
