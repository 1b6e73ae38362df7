//! The rows of lifecycle rules, of the access monitor, and of the runs that carry rules out.

use serde::{Deserialize, Serialize};

use super::codec::{Row, UNKNOWN, decode_body, encode_body};

/// The lifecycle rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRow {
    /// The rules, in order.
    pub rules: Vec<RuleRow>,
    /// Whether they may overlap.
    pub overlap: bool,
    /// When each of them was set, in milliseconds since 1970; no part of schema 1, where it is not known.
    #[serde(skip)]
    pub set: Vec<u64>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// The name.
    pub id: String,
    /// The prefix of keys.
    pub prefix: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Tags that an object must have.
    pub tags: Vec<(String, String)>,
    /// Prefixes that are left out, perhaps only of objects with a tag.
    pub except: Vec<(String, Option<(String, String)>)>,
    /// Only objects with more bytes.
    pub larger: Option<u64>,
    /// Only objects with fewer bytes.
    pub smaller: Option<u64>,
    /// When the current version is deleted.
    pub expiration: Option<WhenRow>,
    /// When it gets another class.
    pub transitions: Vec<TransitionRow>,
    /// When uploads are aborted.
    pub abort: Option<WhenRow>,
    /// After how many days other versions are removed.
    pub noncurrent_days: Option<u32>,
    /// When they get another class.
    pub noncurrent_transitions: Vec<TransitionRow>,
    /// From when on accesses are known, in milliseconds since 1970.
    pub access_base: Option<u64>,
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenRow {
    /// After so many days.
    Days(u32),
    /// If written before, in milliseconds since 1970.
    Before(u64),
    /// From then on, in milliseconds since 1970.
    On(u64),
    /// For delete markers that are alone.
    Markers,
}

/// A change of class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionRow {
    /// When.
    pub when: WhenRow,
    /// The number of the storage class.
    pub class: u8,
    /// Whether it counts from the last access.
    pub by_access: bool,
    /// Whether what is read comes back.
    pub return_on_visit: bool,
    /// Whether small files are moved, if that is said.
    pub small_files: Option<bool>,
}

/// The schema of rules that say when they were set.
const WITH_SET: u8 = 2;

impl Row for LifecycleRow {
    const KIND: u8 = 16;
    const SCHEMA: u8 = 1;

    fn encode_newer(&self) -> Option<(u8, Vec<u8>)> {
        (!self.set.is_empty()).then(|| (WITH_SET, encode_body(&(self, &self.set))))
    }

    fn upgrade(schema: u8, body: &[u8]) -> Result<LifecycleRow, &'static str> {
        if schema != WITH_SET {
            return Err(UNKNOWN);
        }
        let (row, set): (LifecycleRow, Vec<u64>) = decode_body(body)?;
        if set.len() != row.rules.len() {
            return Err("a row of rules does not say of each when it was set");
        }
        Ok(LifecycleRow { set, ..row })
    }
}

/// Whether a bucket notes accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessMonitorRow {
    /// Whether it does.
    pub enabled: bool,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
}

impl Row for AccessMonitorRow {
    const KIND: u8 = 17;
    const SCHEMA: u8 = 1;
}

/// How far the runs of a store have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// The day (midnights since 1970) whose run was done last, or on which the first rules were set.
    pub done: u64,
    /// The run that is being done.
    pub running: Option<RunningRow>,
}

/// A run that is being done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRow {
    /// Its day.
    pub day: u64,
    /// The bucket that it is at, or the first one behind.
    pub bucket: u64,
    /// Where it goes on there.
    pub place: PlaceRow,
}

/// A place in a run through a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaceRow {
    /// At the objects with this key and above.
    Objects(Vec<u8>),
    /// At the versions of this key behind this one, which was superseded (or written, if it is the current one) then.
    Versions {
        /// The key.
        key: Vec<u8>,
        /// The version as it stands in keys.
        tail: Vec<u8>,
        /// When it was written, in milliseconds since 1970.
        modified: u64,
    },
    /// At the uploads with this key of the ordered map and above.
    Uploads(Vec<u8>),
    /// At the notes of accesses with this key and above.
    Accesses(Vec<u8>),
}

impl Default for PlaceRow {
    fn default() -> PlaceRow {
        PlaceRow::Objects(Vec::new())
    }
}

impl Row for RunRow {
    const KIND: u8 = 18;
    const SCHEMA: u8 = 1;
}

/// What the last run did in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// The day of the run.
    pub day: u64,
    /// When it came to the bucket, in milliseconds since 1970.
    pub begun: u64,
    /// When it was done with it.
    pub ended: Option<u64>,
    /// Seen, expired, removed, markers, transitioned, returned, aborted, held.
    pub counts: [u64; 8],
}

impl Row for ReportRow {
    const KIND: u8 = 19;
    const SCHEMA: u8 = 1;
}
