//! Notes: what a commit did in words of objects, where the keys of its rows do not tell.
//!
//! The keys of most buckets are those of their objects. In a bucket with a renamed prefix or with forks they are not,
//! and removing a prefix touches none of the keys that it removes. Such a commit carries one row more, which says it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::row::{self, Row};

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// The row `at` is the current version of an object now, or its removal.
    Object {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The row's key.
        at: Vec<u8>,
    },
    /// Everything with a prefix was removed.
    DeletePrefix {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// Everything with a prefix got another one.
    RenamePrefix {
        /// The bucket.
        bucket: String,
        /// The prefix it had.
        prefix: String,
        /// The prefix it has now.
        new_prefix: String,
    },
    /// A bucket was made as a fork of another.
    Fork {
        /// The bucket it was made from.
        from: String,
        /// The new bucket.
        bucket: String,
    },
    /// Nothing that anybody sees: rows were moved to where they are found sooner.
    Tidied,
    /// The row `at` says what it said before, of a body that it shares from now on.
    Same {
        /// The row's key.
        at: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(Vec<Said>);

impl Row for Note {
    const KIND: u8 = 6;
    const SCHEMA: u8 = 1;
}

/// The payload of the note.
pub fn encode(said: &[Said]) -> Vec<u8> {
    row::encode(&Note(said.to_vec()))
}

/// Reads the payload of a note.
pub fn decode(payload: &[u8]) -> Result<Vec<Said>> {
    row::decode::<Note>(payload)
        .map(|note| note.0)
        .map_err(|reason| Error::corrupt("a note of the catalog", 0, reason))
}
