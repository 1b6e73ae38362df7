//! Mending: what must be made and set right so that the rows that could be saved of a damaged store add up again.
//!
//! Rows are seen in the order of their keys, so that buckets and work come before what lies in spaces, and the notes
//! of what is to be trimmed before the retained past.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::keyspace::keys::{self, Placed};
use crate::catalog::keyspace::route::{Layer, Route, Span, unread};
use crate::catalog::keyspace::rows::decode_past;
use crate::engine::Stored;
use crate::format::entry::BlobId;
use crate::format::row::{self, BucketRow, PendingWork};
use crate::format::varint;
use crate::index::Weight;
use crate::rescue::Mended;

/// The numbers of rows made here that lie among those of an older commit: no commit has so many of its own.
const HIGH: u32 = 1 << 31;

/// A bucket that was met.
#[derive(Debug)]
pub struct Met {
    /// Its name.
    pub name: String,
    /// Its route.
    pub route: Route,
    /// Its row.
    pub row: BucketRow,
}

/// What was seen of a store so far. Memory grows with the number of buckets, and with that of rows of the retained past.
#[derive(Debug, Default)]
pub struct Books {
    buckets: Vec<Met>,
    /// Which of the buckets read a space, or have its id.
    readers: BTreeMap<u64, Vec<usize>>,
    /// How many routes read a space without writing to it.
    borrowed: BTreeMap<u64, u64>,
    /// What the rows that count that say.
    counted: BTreeMap<u64, u64>,
    /// What is to be removed, by space: the rows under a prefix, apart from some longer prefixes.
    dead: BTreeMap<u64, Vec<(String, Vec<String>)>>,
    /// Buckets that are to be brought back into one space.
    settled: BTreeSet<(String, u64)>,
    /// The work that removes a shared body.
    blob_work: BTreeMap<BlobId, Vec<Vec<u8>>>,
    /// Rows of the retained past that are noted to go, and where; those that were seen are taken out.
    trims: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The least number above [`HIGH`] among the notes of a commit.
    high: BTreeMap<u64, u32>,
    /// Spaces with objects that a bucket must lead to.
    needed: BTreeSet<u64>,
    /// Spaces with rows that nobody reads, and nothing removes.
    leaky: BTreeSet<u64>,
    mended: Mended,
}

impl Books {
    /// Sees the next row that was saved.
    pub fn see(&mut self, key: &[u8], stored: &Stored<'_>) {
        if let Some(place) = keys::parse_place(key) {
            self.see_place(&place);
        } else if let Some(name) = keys::bucket_name(key) {
            if let Ok(row) = row::decode::<BucketRow>(&stored.payload) {
                self.meet(name, row);
            }
        } else if keys::is_tidy(key) {
            if let Ok(work) = row::decode::<PendingWork>(&stored.payload) {
                self.see_work(key, work);
            }
        } else if let Some(space) = keys::parse_space_refs(key) {
            self.counted.insert(space, varint::take(&mut &stored.payload[..]).unwrap_or(0));
        } else if keys::is_trim(key) {
            self.see_trim(key, &stored.payload);
        } else if keys::is_history(key) {
            self.see_past(key, &stored.payload);
        }
    }

    fn meet(&mut self, name: &str, row: BucketRow) {
        let (number, route) = (self.buckets.len(), Route::of(&row));
        for space in route.layers().map(|layer| layer.space).chain([row.id]).collect::<BTreeSet<u64>>() {
            self.readers.entry(space).or_default().push(number);
        }
        for space in route.borrowed() {
            *self.borrowed.entry(space).or_default() += 1;
        }
        self.buckets.push(Met { name: name.to_string(), route, row });
    }

    /// Work that was saved is done, unless it would remove what a bucket leads to that could only be saved as it was
    /// before: people would lose what they write there.
    fn see_work(&mut self, key: &[u8], work: PendingWork) {
        match work {
            PendingWork::Clean { space, prefix, keep } => {
                let whole = Layer { space, prefix };
                let reads = |bucket: &Met| {
                    let inside = |layer: &Layer| {
                        layer.space == space
                            && layer.prefix.starts_with(&whole.prefix)
                            && !keep.iter().any(|kept| layer.prefix.starts_with(kept.as_str()))
                    };
                    bucket.route.reads(&whole) || bucket.route.layers().any(inside)
                };
                if self.readers(space).any(reads) {
                    self.mended.remove.push(key.to_vec());
                } else {
                    self.dead.entry(space).or_default().push((whole.prefix, keep));
                }
            }
            PendingWork::Settle { bucket, id } => drop(self.settled.insert((bucket, id))),
            // It is gone on with in the new store.
            PendingWork::Erase { .. } | PendingWork::Shred { .. } => {}
            PendingWork::Blob { lsn, n } => {
                self.blob_work.entry(BlobId { lsn, n }).or_default().push(key.to_vec());
            }
        }
    }

    fn see_trim(&mut self, key: &[u8], past: &[u8]) {
        if let Some((lsn, number)) = keys::parse_numbered(key)
            && number >= HIGH
        {
            let least = self.high.entry(lsn).or_insert(number);
            *least = number.min(*least);
        }
        if let Some(other) = self.trims.insert(past.to_vec(), key.to_vec()) {
            self.mended.remove.push(other);
        }
    }

    fn see_past(&mut self, key: &[u8], payload: &[u8]) {
        if self.trims.remove(key).is_some() {
            return;
        }
        let superseded = decode_past(payload).map_or(0, |(lsn, _)| lsn);
        let number = self.high.get(&superseded).map_or(u32::MAX, |least| least - 1);
        self.high.insert(superseded, number);
        self.mended.put.push((keys::trim(superseded, number), key.to_vec()));
    }

    fn see_place(&mut self, place: &Placed) {
        let space = place.space;
        if self.needed.contains(&space) || self.leaky.contains(&space) || self.is_dead(space, &place.key) {
            return;
        }
        if !self.readers.contains_key(&space) {
            // A row that only hides others, which come after the others, is of no use where nobody leads.
            let spaces = if place.shadow { &mut self.leaky } else { &mut self.needed };
            spaces.insert(space);
            return;
        }
        // What others read goes when they do.
        let read = self.borrowed.contains_key(&space)
            || self.readers(space).any(|bucket| bucket.route.reads_key(space, &place.key));
        if !read {
            self.leaky.insert(space);
        }
    }

    /// The buckets that read a space, or have its id.
    pub fn readers(&self, space: u64) -> impl Iterator<Item = &Met> {
        self.readers.get(&space).into_iter().flatten().map(|number| &self.buckets[*number])
    }

    /// Whether what stands in a place was removed with its prefix or its bucket, and only waits to go.
    pub fn is_dead(&self, space: u64, key: &[u8]) -> bool {
        self.dead.get(&space).into_iter().flatten().any(|(prefix, keep)| {
            key.starts_with(prefix.as_bytes()) && !keep.iter().any(|kept| key.starts_with(kept.as_bytes()))
        })
    }

    /// The buckets that must be made to reach what was saved, and everything that sets the books right. `blobs` is how
    /// many entries refer to each shared body of which anything is left; all of it is to be a commit with this `lsn`.
    pub fn mend(&mut self, lsn: u64, blobs: &BTreeMap<BlobId, u64>) -> Mended {
        let (mut number, mut spaces) = (0, 0);
        let mut next_space = || {
            spaces += 1;
            keys::space_id(lsn, spaces - 1)
        };
        self.make_buckets(&mut next_space);
        self.part_buckets(&mut next_space);
        self.count_borrowed();
        let mut work = self.clean_leaks();
        work.extend(self.settle_routes());
        for (blob, refs) in blobs {
            let removal = self.blob_work.remove(blob);
            match removal {
                None if *refs == 0 => work.push(PendingWork::Blob { lsn: blob.lsn, n: blob.n }),
                Some(removal) if *refs > 0 => self.mended.remove.extend(removal),
                _ => {}
            }
        }
        for work in work {
            number += 1;
            self.mended.put.push((keys::tidy(lsn, number), row::encode(&work)));
        }
        self.mended.remove.extend(std::mem::take(&mut self.trims).into_values());
        std::mem::take(&mut self.mended)
    }

    /// Makes a bucket for each space that none leads to.
    fn make_buckets(&mut self, next_space: &mut dyn FnMut() -> u64) {
        for id in std::mem::take(&mut self.needed) {
            let taken = |name: &String| self.buckets.iter().any(|other| other.name == *name);
            let name = (0..).map(|number| made_name(id, number)).find(|name| !taken(name));
            let name = name.expect("names do not end");
            let route = self.route_to(id, next_space);
            let row = BucketRow { id, spans: route.to_rows(id), ..BucketRow::default() };
            let made = (keys::bucket(&name), keys::maker_of(id), Weight::default(), row::encode(&row));
            self.mended.made.push(made);
            self.mended.put.push((keys::bucket_by_id(id), name.as_bytes().to_vec()));
            self.meet(&name, row);
        }
    }

    /// The way to a space, past everything in it that is still to be removed.
    fn route_to(&self, space: u64, next_space: &mut dyn FnMut() -> u64) -> Route {
        let mut leads = BTreeMap::from([(String::new(), space)]);
        let mut dead: Vec<&(String, Vec<String>)> = self.dead.get(&space).into_iter().flatten().collect();
        dead.sort();
        let fresh = if dead.is_empty() { space } else { next_space() };
        for (prefix, keep) in dead {
            leads.insert(prefix.clone(), fresh);
            let lives = keep.iter().filter(|kept| !self.is_dead(space, kept.as_bytes()));
            leads.extend(lives.map(|kept| (kept.clone(), space)));
        }
        let span = |(prefix, space): (String, u64)| {
            let layers = vec![Layer { space, prefix: prefix.clone() }];
            Span { prefix, layers }
        };
        Route::new(leads.into_iter().map(span).collect())
    }

    /// Of buckets that could only be saved as they were before a fork, some write where others read. They get a space
    /// of their own on top, as the fork had given them.
    fn part_buckets(&mut self, next_space: &mut dyn FnMut() -> u64) {
        let mut reads: BTreeMap<u64, u64> = BTreeMap::new();
        for bucket in &self.buckets {
            let spaces: BTreeSet<u64> = bucket.route.layers().map(|layer| layer.space).collect();
            spaces.into_iter().for_each(|space| *reads.entry(space).or_default() += 1);
        }
        for bucket in &mut self.buckets {
            let is_shared = |span: &Span| reads.get(&span.layers[0].space).is_some_and(|count| *count > 1);
            if !bucket.route.spans().iter().any(is_shared) {
                continue;
            }
            let space = next_space();
            let mut spans = bucket.route.spans().to_vec();
            for span in spans.iter_mut().filter(|span| is_shared(span)) {
                span.layers.insert(0, Layer { space, prefix: span.prefix.clone() });
            }
            bucket.route = Route::new(spans);
            bucket.row.spans = bucket.route.to_rows(bucket.row.id);
            self.mended.put.push((keys::bucket(&bucket.name), row::encode(&bucket.row)));
        }
    }

    /// Sets right how many buckets read each space without owning it.
    fn count_borrowed(&mut self) {
        let mut counts: BTreeMap<u64, u64> = self.counted.keys().map(|space| (*space, 0)).collect();
        for space in self.buckets.iter().flat_map(|bucket| bucket.route.borrowed()) {
            *counts.entry(space).or_default() += 1;
        }
        for (space, count) in counts {
            let key = keys::space_refs(space);
            if count == 0 {
                self.mended.remove.push(key);
            } else if self.counted.get(&space) != Some(&count) {
                let mut payload = Vec::new();
                varint::put(&mut payload, count);
                self.mended.put.push((key, payload));
            }
        }
    }

    /// The work that removes what nobody reads.
    fn clean_leaks(&self) -> Vec<PendingWork> {
        let mut work = Vec::new();
        for space in &self.leaky {
            let routes: Vec<&Route> = self.readers(*space).map(|bucket| &bucket.route).collect();
            for (prefix, keep) in unread(&routes, *space) {
                work.push(PendingWork::Clean { space: *space, prefix, keep });
            }
        }
        work
    }

    /// The work that brings buckets back into one space, where it is lost.
    fn settle_routes(&self) -> Vec<PendingWork> {
        let strays = self.buckets.iter().filter(|bucket| bucket.route.own_space() != Some(bucket.row.id));
        let work = strays.map(|bucket| (bucket.name.clone(), bucket.row.id));
        let lost = work.filter(|work| !self.settled.contains(work));
        lost.map(|(bucket, id)| PendingWork::Settle { bucket, id }).collect()
    }
}

/// What a bucket is called whose name is lost.
pub fn made_name(id: u64, number: u64) -> String {
    if number == 0 { format!("salvaged-{id}") } else { format!("salvaged-{id}-{number}") }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::verify::Audit;
    use super::*;
    use crate::catalog::keyspace::keys::Kind;
    use crate::catalog::keyspace::rows::encode_past;
    use crate::format::entry::Body;
    use crate::format::row::SpanRow;

    type Spans<'s> = &'s [(&'s str, &'s [(u64, &'s str)])];

    /// The commit that mends.
    const LSN: u64 = 100;

    /// Rows that are left of a store.
    #[derive(Default)]
    struct Left(BTreeMap<Vec<u8>, Vec<u8>>);

    impl Left {
        fn row(mut self, key: Vec<u8>, payload: Vec<u8>) -> Left {
            self.0.insert(key, payload);
            self
        }

        fn bucket(self, name: &str, id: u64, spans: Spans<'_>) -> Left {
            let span = |(prefix, layers): &(&str, &[(u64, &str)])| SpanRow {
                prefix: prefix.to_string(),
                layers: layers.iter().map(|(space, prefix)| (*space, prefix.to_string())).collect(),
            };
            let row = BucketRow { id, spans: spans.iter().map(span).collect(), ..BucketRow::default() };
            self.row(keys::bucket(name), row::encode(&row))
        }

        fn clean(self, n: u32, space: u64, prefix: &str, keep: &[&str]) -> Left {
            let keep = keep.iter().map(|kept| kept.to_string()).collect();
            let work = PendingWork::Clean { space, prefix: prefix.to_string(), keep };
            self.row(keys::tidy(3, n), row::encode(&work))
        }

        fn settle(self, n: u32, bucket: &str, id: u64) -> Left {
            self.row(keys::tidy(4, n), row::encode(&PendingWork::Settle { bucket: bucket.to_string(), id }))
        }

        fn count(self, space: u64, count: u8) -> Left {
            self.row(keys::space_refs(space), vec![count])
        }

        fn head(self, space: u64, key: &str) -> Left {
            self.row(keys::place(Kind::Head, false, space, key.as_bytes(), b""), Vec::new())
        }

        /// What mending does; the books that it leaves add up, and mending them again does nothing.
        fn mend(&mut self, blobs: &[(u64, u64)]) -> Mended {
            let blobs: BTreeMap<BlobId, u64> =
                blobs.iter().map(|(lsn, refs)| (BlobId { lsn: *lsn, n: 1 }, *refs)).collect();
            let mended = self.books().mend(LSN, &blobs);
            self.0.retain(|key, _| !mended.remove.contains(key));
            self.0.extend(mended.made.iter().map(|(key, _, _, payload)| (key.clone(), payload.clone())));
            self.0.extend(mended.put.iter().cloned());
            let mut audit = Audit::default();
            for (key, payload) in &self.0 {
                audit.see(key, &stored(payload)).unwrap();
            }
            assert_eq!(audit.finish(), Vec::<String>::new());
            assert_eq!(self.books().mend(LSN + 1, &blobs), Mended::default(), "mended again");
            mended
        }

        fn books(&self) -> Books {
            let mut books = Books::default();
            self.0.iter().for_each(|(key, payload)| books.see(key, &stored(payload)));
            books
        }

        fn route(&self, bucket: &str) -> Route {
            Route::of(&row::decode(&self.0[&keys::bucket(bucket)]).unwrap())
        }

        fn work(&self) -> Vec<PendingWork> {
            let (from, end) = keys::all_tidy();
            self.0.range(from..end).map(|(_, payload)| row::decode(payload).unwrap()).collect()
        }
    }

    fn stored(payload: &[u8]) -> Stored<'_> {
        Stored { lsn: 1, weight: Weight::default(), payload: Cow::from(payload), body: Body::None }
    }

    #[test]
    fn what_is_whole_is_left_alone() {
        let mut left = Left::default()
            .bucket("cats", 1, &[("", &[(20, ""), (1, "")]), ("a/", &[(22, "a/")])])
            .bucket("fork", 21, &[("", &[(23, ""), (1, "")])])
            .bucket("plain", 5, &[])
            .settle(1, "cats", 1)
            .settle(2, "fork", 21)
            .count(1, 2)
            .clean(3, 20, "a/", &["a/b/"])
            .clean(4, 9, "", &[]);
        for (space, key) in
            [(20, "x"), (20, "a/gone"), (22, "a/x"), (1, "x"), (1, "a/hidden"), (5, "x"), (9, "x")]
        {
            left = left.head(space, key);
        }
        let past = keys::history_at(&keys::bucket("cats"), 2).unwrap();
        left = left.row(keys::trim(3, 0), past.clone()).row(past, encode_past(3, b""));
        assert_eq!(left.mend(&[(7, 2)]), Mended::default());
    }

    #[test]
    fn what_was_removed_needs_no_bucket_and_does_not_come_back_with_the_rest_of_its_space() {
        let mut left = Left::default()
            .bucket("cats", 1, &[("", &[(20, "")])])
            .settle(0, "cats", 1)
            .clean(0, 7, "", &[])
            .clean(1, 8, "a/", &["a/kept/"])
            .clean(2, 1, "", &[]);
        for (space, key) in [(20, "a"), (1, "gone"), (7, "gone"), (8, "a/gone")] {
            left = left.head(space, key);
        }
        assert_eq!(left.mend(&[]), Mended::default());
        left = left.head(8, "a/kept/b");
        let mended = left.mend(&[]);
        assert_eq!(mended.made[0].0, keys::bucket("salvaged-8"));
        let route = left.route("salvaged-8");
        assert!(
            route.reads_key(8, b"a/kept/b") && route.reads_key(8, b"b") && !route.reads_key(8, b"a/gone")
        );
    }

    #[test]
    fn rows_that_a_bucket_has_left_behind_are_removed() {
        let mut left = Left::default()
            .bucket("cats", 1, &[("", &[(20, "")]), ("a/", &[(1, "b/")]), ("a/x/", &[(22, "a/x/")])])
            .settle(1, "cats", 1)
            .head(1, "c")
            .head(1, "b/kept")
            .head(1, "b/x/gone");
        left.mend(&[]);
        let clean = |prefix: &str, keep: &[&str]| {
            let keep = keep.iter().map(|kept| kept.to_string()).collect();
            PendingWork::Clean { space: 1, prefix: prefix.to_string(), keep }
        };
        let work = left.work();
        assert!(work.contains(&clean("", &["b/"])) && work.contains(&clean("b/x/", &[])), "{work:?}");
        // Rows that hide, in a space that nobody reads.
        let hides = keys::place(Kind::Head, true, 30, b"a", b"");
        let mut left = Left::default().row(hides, Vec::new());
        left.mend(&[]);
        assert_eq!(left.work(), [PendingWork::Clean { space: 30, prefix: String::new(), keep: Vec::new() }]);
    }

    #[test]
    fn what_an_older_route_reads_is_not_removed() {
        // As it was before `a/` was removed, and before all was.
        let mut left =
            Left::default().bucket("cats", 1, &[]).clean(1, 1, "a/", &[]).head(1, "a/x").head(1, "x");
        let mended = left.mend(&[]);
        assert_eq!((mended.remove, left.work()), (vec![keys::tidy(3, 1)], Vec::new()));
        let mut left = Left::default()
            .bucket("cats", 1, &[("", &[(20, "")]), ("a/", &[(1, "b/")])])
            .settle(1, "cats", 1)
            .clean(1, 1, "", &["c/"])
            .head(1, "b/x")
            .head(1, "d");
        left.mend(&[]);
        let kept = PendingWork::Clean { space: 1, prefix: String::new(), keep: vec!["b/".to_string()] };
        assert!(left.work().contains(&kept) && left.work().len() == 2, "{:?}", left.work());
    }

    #[test]
    fn a_bucket_as_it_was_before_a_fork_writes_where_nobody_reads() {
        let mut left = Left::default()
            .bucket("cats", 1, &[])
            .bucket("fork", 21, &[("", &[(23, ""), (1, "")])])
            .settle(1, "fork", 21)
            .count(1, 2)
            .head(1, "x")
            .head(20, "y");
        let mended = left.mend(&[]);
        let cats = left.route("cats");
        assert_eq!(cats.borrowed(), [1]);
        assert!(cats.own_spaces().iter().all(|space| ![1, 20, 21, 23].contains(space)), "{cats:?}");
        assert_eq!(mended.made[0].0, keys::bucket("salvaged-20"));
        assert_eq!(left.0[&keys::space_refs(1)], [2]);
        assert!(left.work().contains(&PendingWork::Settle { bucket: "cats".to_string(), id: 1 }));
    }

    #[test]
    fn counts_are_those_of_the_buckets_that_are_left() {
        let fork = |left: Left, name: &str, id| left.bucket(name, id, &[("", &[(id + 1, ""), (1, "")])]);
        let mut left = fork(fork(Left::default(), "one", 10), "two", 12).count(1, 3).count(2, 1).head(2, "x");
        let mended = left.mend(&[]);
        assert_eq!(left.0[&keys::space_refs(1)], [2]);
        assert_eq!(mended.remove, [keys::space_refs(2)]);
        assert_eq!(mended.made[0].0, keys::bucket("salvaged-2"));
        let mut left = fork(fork(Left::default(), "one", 10), "two", 12).head(1, "x");
        left.mend(&[]);
        assert_eq!(left.0[&keys::space_refs(1)], [2]);
    }

    #[test]
    fn the_past_and_the_notes_of_when_it_goes_fit_together() {
        let past = |lsn| keys::history_at(&keys::row("t", b"k").unwrap(), lsn).unwrap();
        let mut left = Left::default()
            .row(keys::trim(9, 0), past(1))
            .row(keys::trim(9, 1), past(2))
            .row(keys::trim(9, 2), past(2))
            // A salvage before this one has made it.
            .row(keys::trim(9, u32::MAX), past(3));
        for lsn in [2, 3, 4, 5] {
            left = left.row(past(lsn), encode_past(9, b""));
        }
        let mended = left.mend(&[]);
        assert_eq!(mended.remove, [keys::trim(9, 1), keys::trim(9, 0)]);
        let put: BTreeSet<Vec<u8>> = mended.put.into_iter().map(|(key, _)| key).collect();
        assert_eq!(put, BTreeSet::from([keys::trim(9, u32::MAX - 1), keys::trim(9, u32::MAX - 2)]));
    }

    #[test]
    fn shared_bodies_are_removed_if_nothing_refers_to_them_and_only_then() {
        let work = |lsn| PendingWork::Blob { lsn, n: 1 };
        let mut left = Left::default();
        for lsn in [5, 6] {
            left = left.row(keys::tidy(lsn, 1), row::encode(&work(lsn)));
        }
        let mended = left.mend(&[(5, 0), (6, 1), (7, 0), (8, 1)]);
        assert_eq!(mended.remove, [keys::tidy(6, 1)]);
        assert_eq!(left.work(), [work(5), work(7)]);
    }
}
