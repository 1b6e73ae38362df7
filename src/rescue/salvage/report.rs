//! What salvage reports, and what it asks of the one who knows the keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::remains::DamagedFile;
use crate::engine::{Settings, Stored, Unlock};
use crate::env::Env;
use crate::format::entry::BlobId;
use crate::index::Weight;
use crate::model::Lsn;

/// What a salvage has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The newest commit that anything was found of.
    pub lsn: Lsn,
    /// Entries that were saved: objects, buckets, rows and whatever else a store keeps.
    pub saved: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Keys of which only an older state could be saved, the first hundred thousand of them.
    pub doubtful: Vec<SalvageNote>,
    /// How many those are.
    pub doubtful_count: u64,
    /// Keys of which no state could be saved, the first hundred thousand of them.
    pub lost: Vec<SalvageNote>,
    /// How many those are.
    pub lost_count: u64,
    /// Whether more may be lost than is named: a part of the log cannot be read that the index does not cover, and what
    /// keys were written there is not known.
    pub uncertain: bool,
    /// Files in which something is wrong, or which are missing.
    pub damaged: Vec<DamagedFile>,
    /// Entries that were made because others cannot be reached without them.
    pub made: Vec<SalvageNote>,
    /// Whether the watcher stopped it. What was saved by then is a store, but not all that could be saved.
    pub stopped: bool,
}

impl SalvageReport {
    /// Whether everything was saved as it was written last, as far as that can be told.
    pub fn is_whole(&self) -> bool {
        let named = self.lost_count + self.doubtful_count + self.made.len() as u64;
        named == 0 && !self.uncertain && !self.stopped
    }
}

/// A key and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageNote {
    /// The key as people know it, such as `bucket/key`.
    pub name: String,
    /// Why it is named.
    pub reason: String,
}

/// How far a salvage has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageProgress {
    /// Segments of the log read so far.
    pub segments: u64,
    /// Rows found so far.
    pub rows: u64,
    /// Entries saved so far.
    pub saved: u64,
    /// Bytes of bodies saved so far.
    pub bytes: u64,
}

/// What the catalog knows of keys.
pub trait Naming {
    /// The key as people know it.
    fn name(&self, key: &[u8]) -> String;
    /// An entry was saved; they come in the order of their keys.
    fn saved(&mut self, key: &[u8], stored: &Stored<'_>);
    /// Why an entry would be of no use, if it needs another one that is gone. `is_left` says whether there is one under a
    /// key that comes later.
    fn misses(&self, key: &[u8], payload: &[u8], is_left: &dyn Fn(&[u8]) -> bool) -> Option<String>;
    /// What is to be made and set right once everything was saved. `blobs` is how many of the saved entries refer to
    /// each shared body of which anything is left; the commit that sets things right will have this `lsn`.
    fn mend(&mut self, lsn: u64, blobs: &BTreeMap<BlobId, u64>) -> Mended;
}

/// What makes a whole of the entries that were saved.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Entries that must be made so that others can be reached: key, lsn, weight and payload.
    pub made: Vec<(Vec<u8>, u64, Weight, Vec<u8>)>,
    /// Rows that only keep book, by key, and what they are to say from now on.
    pub put: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rows of that kind that must go.
    pub remove: Vec<Vec<u8>>,
}

/// Where a salvage reads and writes.
#[derive(Debug)]
pub struct SalvageFrom {
    /// Files, time and chance.
    pub env: Env,
    /// The damaged directory.
    pub from: PathBuf,
    /// The new directory.
    pub to: PathBuf,
    /// How the new store behaves.
    pub settings: Settings,
    /// What the damaged store is opened with, if it is encrypted; the new one is then encrypted with the same keys.
    pub unlock: Option<Unlock>,
}
