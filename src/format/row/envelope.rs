//! How a version is encrypted, the wrapped keys of buckets, and what a bucket asks for.

use serde::{Deserialize, Serialize};

use super::codec::Row;

/// How a version is encrypted, beside the encryption of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealRow {
    /// With the store's own key: the store is sealed, and this was asked for.
    Store,
    /// With a key of a bucket, which a named key wraps.
    Kms {
        /// The bucket whose key it is: the one that the version was written to.
        bucket: u64,
        /// The name of the key that wraps the bucket's.
        key_id: String,
        /// Which of the bucket's keys.
        generation: [u8; 16],
        /// The envelope.
        envelope: EnvelopeRow,
    },
    /// With a key that is not stored.
    Customer {
        /// The MD5 of the key.
        fingerprint: [u8; 16],
        /// The envelope.
        envelope: EnvelopeRow,
    },
}

impl SealRow {
    /// The envelope around the body, if there is one.
    pub fn envelope(&self) -> Option<&EnvelopeRow> {
        match self {
            SealRow::Store => None,
            SealRow::Kms { envelope, .. } | SealRow::Customer { envelope, .. } => Some(envelope),
        }
    }

    /// The same, to be changed.
    pub fn envelope_mut(&mut self) -> Option<&mut EnvelopeRow> {
        match self {
            SealRow::Store => None,
            SealRow::Kms { envelope, .. } | SealRow::Customer { envelope, .. } => Some(envelope),
        }
    }
}

/// The envelope around a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeRow {
    /// Leads from the key to the object's.
    pub salt: [u8; 32],
    /// Proves that a key is the object's.
    pub commitment: [u8; 32],
    /// The envelopes that the body is made of; without any, it is one with the number 0.
    pub parts: Vec<PartRun>,
}

/// Parts with numbers that follow on each other, and with one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRun {
    /// The number of the first.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Bytes of body in each.
    pub size: u64,
}

/// A key of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketKeyRow {
    /// The name of the key that wraps it.
    pub key_id: String,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// Proves that what is unwrapped is the key.
    pub commitment: [u8; 32],
    /// When it was made, in milliseconds since 1970.
    pub made: u64,
    /// Whether another has taken its place for what is written.
    pub retired: bool,
}

impl Row for BucketKeyRow {
    const KIND: u8 = 26;
    const SCHEMA: u8 = 1;
}

/// How a bucket encrypts what is written to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionRow {
    /// 1 the store's own key, 2 a named key.
    pub algorithm: u8,
    /// The name of the key.
    pub key_id: Option<String>,
}

impl Row for EncryptionRow {
    const KIND: u8 = 27;
    const SCHEMA: u8 = 1;
}
