//! The keys of buckets and the encryption that a bucket asks for, in the ordered map.

use std::collections::BTreeSet;

use crate::catalog::keyspace::keys;
use crate::catalog::keyspace::rows::{Rows, decode_past};
use crate::engine::Stored;
use crate::error::{Error, Result};
use crate::format::row::{self, BucketKeyRow, EncryptionRow, ObjectRow, Row, SealRow, UploadRow};
use crate::model::Encryption;

/// The name of the encryption among the configurations of a bucket.
pub const ENCRYPTION: &str = "encryption";

const AES256: u8 = 1;

const KMS: u8 = 2;

fn damaged(reason: &str) -> Error {
    Error::corrupt("the encryption of a bucket", 0, reason)
}

/// What a bucket asks for.
pub fn find_encryption(rows: &(impl Rows + ?Sized), bucket_id: u64) -> Result<Option<Encryption>> {
    let Some(found) = rows.get(&keys::config(bucket_id, ENCRYPTION))? else {
        return Ok(None);
    };
    of_row(row::decode(&found.payload).map_err(damaged)?).map(Some)
}

/// An encryption as its row says.
pub fn of_row(row: EncryptionRow) -> Result<Encryption> {
    match (row.algorithm, row.key_id) {
        (AES256, None) => Ok(Encryption::aes256()),
        (KMS, Some(id)) => Ok(Encryption::kms(id)),
        _ => Err(damaged("it names no algorithm that there is")),
    }
}

/// The row of an encryption.
pub fn to_row(encryption: &Encryption) -> EncryptionRow {
    let key_id = encryption.key_id().map(str::to_string);
    EncryptionRow { algorithm: if key_id.is_some() { KMS } else { AES256 }, key_id }
}

/// A key of a bucket; `None` if there is none of this name.
pub fn find_key(
    rows: &(impl Rows + ?Sized),
    bucket_id: u64,
    generation: &[u8; 16],
) -> Result<Option<BucketKeyRow>> {
    let found = rows.get(&keys::bucket_key(bucket_id, generation))?;
    found.map(|found| row::decode(&found.payload).map_err(damaged)).transpose()
}

/// All keys of a bucket, in no order that means anything.
pub fn keys_of(rows: &impl Rows, bucket_id: u64) -> Result<Vec<([u8; 16], BucketKeyRow)>> {
    let mut found = Vec::new();
    let (from, end) = keys::bucket_keys(bucket_id);
    rows.walk(&from, &end, &mut |key| {
        let (_, generation) =
            keys::parse_bucket_key(key).ok_or_else(|| damaged("a key has no sound name"))?;
        found.extend(find_key(rows, bucket_id, &generation)?.map(|row| (generation, row)));
        Ok(true)
    })?;
    Ok(found)
}

/// The key that a bucket writes with now under a named key: the youngest that is not retired.
pub fn current_key(
    rows: &impl Rows,
    bucket_id: u64,
    key_id: &str,
) -> Result<Option<([u8; 16], BucketKeyRow)>> {
    let fits = |(_, row): &([u8; 16], BucketKeyRow)| !row.retired && row.key_id == key_id;
    let found = keys_of(rows, bucket_id)?.into_iter().filter(fits);
    Ok(found.max_by_key(|(generation, row)| (row.made, *generation)))
}

/// How the object, version, upload or row of the past under a key is encrypted, if there is an envelope around it. Other
/// rows, and those without one, are hardly looked at.
pub fn seal_of(key: &[u8], payload: &[u8]) -> Result<Option<SealRow>> {
    let payload = if keys::is_history(key) {
        match keys::parse_history(key) {
            Some((of, _)) if keys::has_body(&of) => decode_past(payload)?.1,
            _ => return Ok(None),
        }
    } else if keys::has_body(key) || keys::parse_upload(key).is_some() {
        payload
    } else {
        return Ok(None);
    };
    let object = match payload {
        [ObjectRow::KIND, schema, ..] if *schema > 3 => row::decode::<ObjectRow>(payload).map_err(damaged)?,
        [UploadRow::KIND, schema, ..] if *schema > 1 => {
            row::decode::<UploadRow>(payload).map_err(damaged)?.object
        }
        _ => return Ok(None),
    };
    Ok(object.seal().filter(|seal| seal.envelope().is_some()).cloned())
}

/// Whether every key of a bucket is there that an object needs. Memory grows with the number of keys.
#[derive(Debug, Default)]
pub struct KeyAudit {
    needed: BTreeSet<(u64, [u8; 16])>,
    there: BTreeSet<(u64, [u8; 16])>,
}

impl KeyAudit {
    /// Sees the next row.
    pub fn see(&mut self, key: &[u8], stored: &Stored<'_>) -> Result<()> {
        if let Some(SealRow::Kms { bucket, generation, .. }) = seal_of(key, &stored.payload)? {
            self.needed.insert((bucket, generation));
        } else if let Some(place) = keys::parse_bucket_key(key) {
            row::decode::<BucketKeyRow>(&stored.payload).map_err(damaged)?;
            self.there.insert(place);
        }
        Ok(())
    }

    /// What is missing, once every row was seen.
    pub fn finish(self) -> Vec<String> {
        let missing = self.needed.difference(&self.there);
        let told = |(bucket, _): &(u64, [u8; 16])| {
            format!("objects need a key of the bucket with the id {bucket}, and it is not there")
        };
        missing.map(told).collect()
    }
}
