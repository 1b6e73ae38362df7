//! The table of segments: which ids lead to which files, as one version that readers keep.

use std::sync::Arc;

use parking_lot::Mutex;

use super::segment::Segment;
use crate::error::{Error, Result};

/// One version of the table. Cheap to clone; a version keeps every segment in it readable.
#[derive(Clone, Debug, Default)]
pub struct Table {
    list: Arc<Vec<Arc<Segment>>>,
    /// The tiers whose segments cannot be told to be there or not, and why.
    out: Option<Arc<(u8, String)>>,
}

impl Table {
    /// A table of these, in any order; `Corrupt` if two have the same id.
    pub fn of(mut segments: Vec<Arc<Segment>>) -> Result<Table> {
        segments.sort_unstable_by_key(|segment| segment.id());
        match segments.windows(2).find(|pair| pair[0].id() == pair[1].id()) {
            Some(pair) => Err(pair[1].corrupt(0, "two segments have the same id")),
            None => Ok(Table { list: Arc::new(segments), out: None }),
        }
    }

    /// The same, of which segments may be missing because the directory of a tier cannot be used.
    pub fn without_tier(mut self, tier: u8, why: String) -> Table {
        self.out = Some(Arc::new((tier, why)));
        self
    }

    /// Whether segments may be missing because the directory of a tier cannot be used.
    pub fn out_of_service(&self) -> Option<Error> {
        self.out.as_ref().map(|out| Error::out_of_service(out.0, &out.1))
    }

    /// The segment with this id, or `Corrupt`: something names a segment that is not there. If it may lie in a tier
    /// whose directory cannot be used, that is told instead.
    #[inline]
    pub fn get(&self, id: u64) -> Result<&Arc<Segment>> {
        match self.list.binary_search_by_key(&id, |segment| segment.id()) {
            Ok(at) => Ok(&self.list[at]),
            Err(_) => Err(self.out_of_service().unwrap_or_else(|| {
                let why = "the index names this segment, but the file is missing";
                Error::corrupt(super::names::file_name(id), 0, why)
            })),
        }
    }

    /// All segments, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.list.iter()
    }

    /// The segments behind this id, in order.
    pub fn behind(&self, id: u64) -> impl Iterator<Item = &Arc<Segment>> {
        self.list[self.list.partition_point(|segment| segment.id() <= id)..].iter()
    }

    /// Whether there is a segment with this id.
    pub fn contains(&self, id: u64) -> bool {
        self.list.binary_search_by_key(&id, |segment| segment.id()).is_ok()
    }
}

/// The newest version of the table, and the way to the next one.
#[derive(Debug, Default)]
pub struct TableCell(Mutex<Table>);

impl TableCell {
    /// The newest version.
    pub fn current(&self) -> Table {
        self.0.lock().clone()
    }

    /// Makes `table` the newest version.
    pub fn replace(&self, table: Table) {
        *self.0.lock() = table;
    }

    /// Adds a segment.
    pub fn add(&self, segment: Arc<Segment>) {
        let mut table = self.0.lock();
        let mut next: Vec<_> = table.iter().cloned().collect();
        let at = next.partition_point(|other| other.id() < segment.id());
        assert!(next.get(at).is_none_or(|other| other.id() != segment.id()), "segment ids are never reused");
        next.insert(at, segment);
        table.list = Arc::new(next);
    }

    /// Takes a segment out; older versions keep it.
    pub fn remove(&self, id: u64) -> Option<Arc<Segment>> {
        let mut table = self.0.lock();
        let at = table.list.binary_search_by_key(&id, |segment| segment.id()).ok()?;
        let mut next: Vec<_> = table.iter().cloned().collect();
        let gone = next.remove(at);
        gone.retire();
        table.list = Arc::new(next);
        Some(gone)
    }
}
