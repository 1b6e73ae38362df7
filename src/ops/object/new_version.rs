//! The row of a new version: its attributes, its class and where its body goes.

use std::collections::BTreeMap;

use super::body_in::{Destination, Prepared};
use super::envelope::Asked;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, Moment};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::ObjectRow;
use crate::model::{
    Acl, ContentHeaders, Keeping, StorageClass, check_client_encryption, check_content_type, check_metadata,
    check_tags,
};
use crate::segment::TIERS;
use crate::write::context::BucketRef;

/// What is stored with an object besides its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) headers: ContentHeaders,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) acl: Option<Acl>,
    pub(crate) class: Option<StorageClass>,
    pub(crate) asked: Asked,
    pub(crate) keeping: Keeping,
}

impl Attributes {
    /// Checks them, and makes the row that an object with them begins with.
    pub(crate) fn to_row(&self) -> Result<ObjectRow> {
        if let Some(text) = &self.content_type {
            check_content_type(text)?;
        }
        self.headers.check()?;
        let mut row = ObjectRow { content_type: self.content_type.clone(), ..ObjectRow::default() };
        if !self.metadata.is_empty() {
            row.metadata = check_metadata(&self.metadata)?;
            check_client_encryption(&row.metadata)?;
        }
        row.class = self.class.map_or(BUCKETS_CLASS, StorageClass::number);
        if !self.headers.is_empty() {
            row.rare_mut().headers = self.headers.to_array();
        }
        if !self.tags.is_empty() {
            row.rare_mut().tags = check_tags(self.tags.iter().cloned())?;
        }
        if let Some(acl) = self.acl {
            row.rare_mut().acl = acl.number();
        }
        if self.keeping != Keeping::NONE {
            row.rare_mut().keep = catalog::keep_of(&self.keeping);
        }
        Ok(row)
    }
}

/// Stands in a row that is not written yet for the storage class of the bucket.
pub const BUCKETS_CLASS: u8 = u8::MAX;

/// Puts size and digests of a body into a row.
pub fn describe(row: &mut ObjectRow, prepared: &Prepared) {
    row.size = prepared.size;
    row.blake3 = prepared.digests.blake3;
    if prepared.digests.md5.is_some() || prepared.digests.crc64.is_some() {
        let rare = row.rare_mut();
        rare.md5 = prepared.digests.md5;
        rare.crc64 = prepared.digests.crc64;
    }
}

/// The index key that a body for `key` is written for, as far as can be known before the commit.
pub fn owner_key(engine: &Engine, bucket: &BucketRef, key: &str) -> Result<Vec<u8>> {
    Ok(owner_and_class(engine, bucket, key)?.0)
}

/// Where a body for `key` goes if its object is to be of this class.
pub fn whither(
    engine: &Engine,
    bucket: &BucketRef,
    key: &str,
    class: u8,
    packed_max: usize,
) -> Result<Destination> {
    let (owner, default) = owner_and_class(engine, bucket, key)?;
    let class = if class == BUCKETS_CLASS { default } else { class };
    Ok(Destination { owner, tier: if class < TIERS { class } else { 0 }, packed_max, envelope: None })
}

/// The same, and the class that the bucket gives to objects.
fn owner_and_class(engine: &Engine, bucket: &BucketRef, key: &str) -> Result<(Vec<u8>, u8)> {
    let view = engine.view();
    let moment = Moment::now(&view);
    let state = match bucket.state(&moment) {
        Err(error) if error.is_not_found() && bucket.may_be_coming() => {
            return Ok((keys::object(bucket.id, key), 0));
        }
        state => state?,
    };
    let bucket_view = state.bucket_view(&moment);
    let owner = match state.route.own_space() {
        Some(space) => keys::object(space, key),
        None => bucket_view.write_key(catalog::Kind::Head, key.as_bytes(), b""),
    };
    Ok((owner, state.row.class))
}
