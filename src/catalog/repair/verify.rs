//! The audit: what all rows of a store must add up to, each of which may look right by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::catalog::bucket::BucketState;
use crate::catalog::keyspace::keys::{self, Placed};
use crate::catalog::keyspace::route::{Layer, Route};
use crate::engine::{BLOB_SPACE, BlobHead, Stored, blob_of, place_of};
use crate::error::Result;
use crate::format::entry::{BlobId, Body};
use crate::format::row::{self, BucketRow, PendingWork};
use crate::format::varint;
use crate::model::BucketName;

/// How many leaks of the same kind are told one by one.
const TOLD: usize = 20;

/// What was seen of a store so far. Rows are seen in the order of their keys; memory grows with the number of buckets,
/// and not with that of objects.
#[derive(Debug, Default)]
pub struct Audit {
    /// The references to shared bodies less those that their heads count, as a sum over numbers drawn from the bodies'
    /// names: which one is wrong it does not say, but that one is.
    refs: u64,
    /// The shared body whose rows are being seen: its name, the pieces it should have and those it has.
    blob: Option<(BlobId, u64, u64)>,
    /// Shared bodies that nothing refers to.
    unused: BTreeSet<BlobId>,
    routes: Vec<Route>,
    /// Spaces that are one bucket's alone and led to as a whole.
    plain: BTreeSet<u64>,
    /// The layers of the other routes by their spaces: the route, the span, the layer.
    layers: BTreeMap<u64, Vec<(usize, usize, usize)>>,
    /// How many routes read a space without writing to it.
    borrowed: BTreeMap<u64, u64>,
    /// Spaces of which that is counted.
    counted: BTreeSet<u64>,
    /// What is still to be removed.
    cleaned: Vec<Layer>,
    /// The rows of the retained past less those that say when each goes, as a sum.
    past: u64,
    wrong: Vec<String>,
    leaks: usize,
}

fn number_of(hashed: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    hashed.hash(&mut hasher);
    hasher.finish()
}

impl Audit {
    /// Sees the next row.
    pub fn see(&mut self, key: &[u8], stored: &Stored<'_>) -> Result<()> {
        if let Body::Shared { blob, .. } = &stored.body {
            self.refs = self.refs.wrapping_add(number_of(blob));
        }
        if let Some(place) = keys::parse_place(key) {
            self.see_place(key, &place);
        } else if key.first() == Some(&BLOB_SPACE) {
            self.see_blob(key, stored)?;
        } else if let Some(name) = keys::bucket_name(key) {
            if let (Ok(name), Ok(row)) = (BucketName::new(name), row::decode::<BucketRow>(&stored.payload)) {
                self.see_bucket(BucketState::new(name, row));
            }
        } else if keys::is_tidy(key) {
            match row::decode(&stored.payload) {
                Ok(PendingWork::Clean { space, prefix, .. }) => self.cleaned.push(Layer { space, prefix }),
                Ok(PendingWork::Blob { lsn, n }) => drop(self.unused.remove(&BlobId { lsn, n })),
                Ok(PendingWork::Settle { .. } | PendingWork::Erase { .. } | PendingWork::Shred { .. }) => {}
                Err(reason) => self.wrong.push(format!("work that is left cannot be read: {reason}")),
            }
        } else if let Some(space) = keys::parse_space_refs(key) {
            let said = varint::take(&mut &stored.payload[..]).unwrap_or(0);
            let read = self.borrowed.get(&space).copied().unwrap_or(0);
            self.counted.insert(space);
            if said != read {
                self.wrong.push(format!("{read} buckets read the space {space}, and {said} are counted"));
            }
        } else if keys::is_trim(key) {
            self.past = self.past.wrapping_sub(number_of(&stored.payload[..]));
        } else if keys::is_history(key) {
            self.past = self.past.wrapping_add(number_of(key));
        }
        Ok(())
    }

    fn see_bucket(&mut self, state: BucketState) {
        if let Some(space) = state.route.own_space() {
            self.plain.insert(space);
            return;
        }
        let route = self.routes.len();
        for (index, span) in state.route.spans().iter().enumerate() {
            for (at, layer) in span.layers.iter().enumerate() {
                self.layers.entry(layer.space).or_default().push((route, index, at));
            }
        }
        for space in state.route.borrowed() {
            *self.borrowed.entry(space).or_default() += 1;
        }
        self.routes.push(state.route);
    }

    fn see_blob(&mut self, key: &[u8], stored: &Stored<'_>) -> Result<()> {
        let Some(blob) = blob_of(key) else { return Ok(()) };
        if place_of(key).is_some() {
            match &mut self.blob {
                Some((whose, _, seen)) if *whose == blob => *seen += 1,
                _ => {
                    self.wrong.push(format!("a piece of the shared body {}-{} has no head", blob.lsn, blob.n))
                }
            }
            return Ok(());
        }
        self.end_blob();
        let head = BlobHead::decode(&stored.payload)?;
        self.refs = self.refs.wrapping_sub(number_of(blob).wrapping_mul(head.refs));
        if head.refs == 0 {
            self.unused.insert(blob);
        }
        self.blob = Some((blob, head.pieces, 0));
        Ok(())
    }

    fn end_blob(&mut self) {
        let Some((blob, pieces, seen)) = self.blob.take() else { return };
        // Of one that nothing refers to, some are gone already.
        if pieces != seen && !self.unused.contains(&blob) {
            let name = format!("{}-{}", blob.lsn, blob.n);
            self.wrong.push(format!("the shared body {name} has {seen} pieces, and {pieces} are counted"));
        }
    }

    /// A row in a space is read by a bucket, or is to be removed, or lies in a space that others read: it goes when
    /// those do.
    fn see_place(&mut self, key: &[u8], place: &Placed) {
        if self.plain.contains(&place.space) || self.counted.contains(&place.space) || self.leaks > TOLD {
            return;
        }
        let layers = self.layers.get(&place.space).map_or(&[][..], |layers| layers);
        let read = layers.iter().any(|(route, index, at)| {
            let (route, span) = (&self.routes[*route], &self.routes[*route].spans()[*index]);
            let rest = place.key.strip_prefix(span.layers[*at].prefix.as_bytes());
            rest.is_some_and(|rest| route.span(&[span.prefix.as_bytes(), rest].concat()) == span)
        });
        let goes =
            |layer: &Layer| layer.space == place.space && place.key.starts_with(layer.prefix.as_bytes());
        if !read && !self.cleaned.iter().any(goes) {
            self.leaks += 1;
            self.wrong
                .push(format!("no bucket reads the row {}, and nothing will remove it", key.escape_ascii()));
        }
    }

    /// What does not add up, once every row was seen.
    pub fn finish(mut self) -> Vec<String> {
        self.end_blob();
        if self.refs != 0 {
            self.wrong.push("the references to shared bodies are not as many as are counted".to_string());
        }
        for blob in &self.unused {
            let name = format!("{}-{}", blob.lsn, blob.n);
            self.wrong.push(format!("nothing refers to the shared body {name}, and nothing will remove it"));
        }
        if self.past != 0 {
            self.wrong.push("the rows of the retained past are not those that are noted to go".to_string());
        }
        let uncounted =
            self.borrowed.iter().filter(|(space, count)| **count > 1 && !self.counted.contains(space));
        for (space, count) in uncounted {
            self.wrong.push(format!("{count} buckets read the space {space}, and that is not counted"));
        }
        self.wrong
    }
}
