//! The keys of buckets and the encryption that a bucket asks for, in the ordered map.

use super::keys;
use super::rows::Rows;
use crate::error::{Error, Result};
use crate::format::row::{self, BucketKeyRow, EncryptionRow};
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
