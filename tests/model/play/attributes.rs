//! Attributes and protection of objects: changed where they stand, asked for one by one.

use ossicle::{AttributeOptions, Bucket, Durability, Error};

use super::Play;
use super::facts::same;
use crate::history::{Pick, Spot, Tag};
use crate::reference::{Change, retention};

impl Play<'_> {
    pub(super) fn set(&mut self, at: &Spot, pick: Pick, tag: Tag, bypass: bool, change: &Change) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let (which, version) = self.which(pick, &handle, &at.key);
        let if_match = self.tag(tag, &handle, &at.key);
        let mut options = AttributeOptions::new().bypass_governance(bypass).durability(Durability::Buffered);
        if let Some(version) = version {
            options = options.version(version);
        }
        if let Some(tag) = &if_match {
            options = options.if_match(tag);
        }
        let real = make(&bucket, &at.key, change, options, self.model.now);
        same(real, self.model.set(&handle, &at.key, (&which, if_match.as_ref(), bypass), change));
        // Whether what is set as it stands is a commit, nobody promises.
        self.take_lsn();
    }

    pub(super) fn carried(&mut self, at: &Spot, pick: Pick) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let (which, version) = self.which(pick, &handle, &at.key);
        let options = || match &version {
            Some(version) => AttributeOptions::new().version(version),
            None => AttributeOptions::new(),
        };
        let told = || self.model.carried(&handle, &at.key, &which, None);
        same(bucket.tags_with(&at.key, options()), told().map(|object| object.dressed.tags.clone()));
        same(bucket.acl_with(&at.key, options()), told().map(|object| object.dressed.acl));
        same(bucket.retention_with(&at.key, options()), told().map(|object| object.dressed.retention));
        same(bucket.legal_hold_with(&at.key, options()), told().map(|object| object.dressed.hold));
        same(bucket.read_link_with(&at.key, options()), self.model.read_link(&handle, &at.key, &which));
        self.played += 4;
    }
}

/// Changes an attribute in the store.
fn make(
    bucket: &Bucket,
    key: &str,
    change: &Change,
    options: AttributeOptions,
    now: u64,
) -> Result<(), Error> {
    match change.clone() {
        Change::Tags(tags) if tags.is_empty() => bucket.clear_tags_with(key, options),
        Change::Tags(tags) => bucket.set_tags_with(key, tags, options),
        Change::Acl(Some(acl)) => bucket.set_acl_with(key, acl, options),
        Change::Acl(None) => bucket.clear_acl_with(key, options),
        Change::Metadata(pairs) => bucket.set_metadata_with(key, pairs, options),
        Change::ContentType(text) => bucket.set_content_type_with(key, &text, options),
        Change::Headers(headers) => bucket.set_headers_with(key, headers, options),
        Change::Class(class) => bucket.set_storage_class_with(key, class, options),
        Change::Retention(Some(next)) => bucket.set_retention_with(key, retention(next, now), options),
        Change::Retention(None) => bucket.clear_retention_with(key, options),
        Change::Hold(hold) => bucket.set_legal_hold_with(key, hold, options),
    }
}
