//! What is known of an object besides its bytes, and what a listing or a usage report says.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::acl::Acl;
use super::budget::Keeping;
use super::class::StorageClass;
use super::digest::ObjectDigests;
use super::encryption::ServerSideEncryption;
use super::etag::ETag;
use super::expiry::Expiry;
use super::headers::ContentHeaders;
use super::kind::ObjectKind;
use super::restore::RestoreStatus;
use super::version::VersionId;
use super::worm::Retention;
use crate::error::{Error, Result};

/// The most user metadata an object may carry, names and values together, in bytes (OSS: 8 KB).
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// The longest content type, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 1024;

/// When a write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The commit survives a power cut. All writers that wait at the same time share one sync.
    #[default]
    Synced,
    /// The commit survives the end of this process (the operating system has it), but perhaps not a power cut. A later synced
    /// write, a flush or a checkpoint makes it durable too. Commits never become durable out of order.
    Buffered,
}

/// The metadata of an object: everything but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// The key.
    pub key: String,
    /// The length of the body in bytes.
    pub size: u64,
    /// The entity tag of the body.
    pub etag: ETag,
    /// The version, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// The storage class.
    pub class: StorageClass,
    /// When the object was last written, by the store's clock, in milliseconds.
    pub modified: SystemTime,
    /// How the object was made: put, uploaded in parts, appended to, or a symlink.
    pub kind: ObjectKind,
    /// The media type given by the writer (OSS serves `application/octet-stream` where none was given).
    pub content_type: Option<String>,
    /// The user metadata; names are in lower case.
    pub metadata: BTreeMap<String, String>,
    /// The digests of the body that are known: BLAKE3 of what was written in one piece, MD5 and CRC-64 where the
    /// writer asked for [`Digests::Oss`](crate::Digests::Oss).
    pub digests: ObjectDigests,
    /// The commit that wrote the object.
    pub lsn: super::lsn::Lsn,
    /// What most objects do not have.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What most objects do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    pub(crate) headers: ContentHeaders,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) acl: Option<Acl>,
    pub(crate) target: Option<String>,
    pub(crate) retention: Option<Retention>,
    pub(crate) legal_hold: bool,
    pub(crate) parts: u32,
    pub(crate) restore: Option<RestoreStatus>,
    /// When a lifecycle brought it into its class, if its minimum duration counts from then.
    pub(crate) class_since: Option<SystemTime>,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) encryption: Option<ServerSideEncryption>,
    pub(crate) keeping: Keeping,
}

impl ObjectMeta {
    fn rare(&self) -> &Rare {
        static NONE: Rare = Rare {
            headers: ContentHeaders::NONE,
            tags: Vec::new(),
            acl: None,
            target: None,
            retention: None,
            legal_hold: false,
            parts: 0,
            restore: None,
            class_since: None,
            expiry: None,
            encryption: None,
            keeping: Keeping::NONE,
        };
        self.rare.as_deref().unwrap_or(&NONE)
    }

    /// The tags, in the order of their keys.
    pub fn tags(&self) -> &[(String, String)] {
        &self.rare().tags
    }

    /// The content headers given by the writer.
    pub fn headers(&self) -> &ContentHeaders {
        &self.rare().headers
    }

    /// The access control value of the object; `None` if that of its bucket applies.
    pub fn acl(&self) -> Option<Acl> {
        self.rare().acl
    }

    /// Of a symlink: the key it leads to.
    pub fn target(&self) -> Option<&str> {
        self.rare().target.as_deref()
    }

    /// The retention of the object, if one was set: until then it can be neither overwritten nor deleted.
    pub fn retention(&self) -> Option<Retention> {
        self.rare().retention
    }

    /// Whether a legal hold is set: the object can be neither overwritten nor deleted until it is lifted.
    pub fn legal_hold(&self) -> bool {
        self.rare().legal_hold
    }

    /// Of an object in an archive class: the state of its restore when this was read, by the store's clock. `None` if no restore
    /// is in force, and for the other classes.
    pub fn restore(&self) -> Option<RestoreStatus> {
        self.rare().restore
    }

    /// Until when OSS charges for the object even if it is deleted earlier: the minimum duration of its class from when it was
    /// written, or from when a lifecycle rule moved it to `ColdArchive` or `DeepColdArchive`. `None` for `Standard`. Not
    /// enforced: it can be deleted earlier.
    pub fn minimum_until(&self) -> Option<SystemTime> {
        let since = self.rare().class_since.unwrap_or(self.modified);
        let least = self.class.minimum_duration();
        (!least.is_zero()).then(|| since.checked_add(least).unwrap_or(since))
    }

    /// The number of bytes that OSS charges for: the size, and at least 64 KiB in every class but `Standard`.
    pub fn billable_bytes(&self) -> u64 {
        self.size.max(self.class.minimum_bytes())
    }

    /// When a lifecycle rule will delete the object, and which rule (OSS: `x-oss-expiration`). Set by `get` and `head` of the
    /// current version, not by listings.
    pub fn expiration(&self) -> Option<&Expiry> {
        self.rare().expiry.as_ref()
    }

    /// The encryption that the put or the bucket asked for. An encrypted store encrypts everything; objects for which nothing was
    /// asked report `None` there, as in OSS. Of a symlink that was followed: the encryption of the target.
    pub fn encryption(&self) -> Option<&ServerSideEncryption> {
        self.rare().encryption.as_ref()
    }

    /// Whether it is pinned: a [`Budget`](crate::Budget) never evicts it.
    pub fn pinned(&self) -> bool {
        self.rare().keeping.pinned
    }

    /// Its priority for eviction by a [`Budget`](crate::Budget), 0 to 255; the lowest is evicted first. The default is 128.
    pub fn priority(&self) -> u8 {
        self.rare().keeping.priority
    }

    /// Whether a copy exists elsewhere; `true` unless the object was marked as not replicated. Such an object is never evicted.
    pub fn replicated(&self) -> bool {
        self.rare().keeping.replicated
    }

    /// Of a multipart object: how many parts it was made of. Of an appendable one: how many appends. Else 0.
    pub fn parts(&self) -> u32 {
        self.rare().parts
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every line is an object, and a box would cost each of them"
)]
pub enum Entry {
    /// An object.
    Object(ObjectMeta),
    /// A common prefix: all keys that start with this text, grouped because of the delimiter.
    Prefix(String),
}

impl Entry {
    /// The key or the common prefix.
    pub fn name(&self) -> &str {
        match self {
            Entry::Object(meta) => &meta.key,
            Entry::Prefix(prefix) => prefix,
        }
    }
}

/// The number of objects and bytes under a prefix. Exact at the moment of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The number of objects (current versions that are no delete markers).
    pub objects: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// The number of objects and bytes of each storage class; classes without an object are left out.
    pub classes: Vec<(StorageClass, u64, u64)>,
    /// The number of versions that are not current, without delete markers.
    pub noncurrent_objects: u64,
    /// The sum of their sizes in bytes.
    pub noncurrent_bytes: u64,
    /// The number of delete markers.
    pub markers: u64,
    /// The number of uploads that are neither completed nor aborted.
    pub uploads: u64,
    /// The sum of the sizes of their parts in bytes.
    pub upload_bytes: u64,
    /// The bytes of bodies that only the retained past needs.
    pub pinned_bytes: u64,
    /// Of a whole store: bytes in its files that nothing needs, and that maintenance will reclaim.
    pub garbage_bytes: u64,
    /// What OSS would charge for. Known at once where everything is `Standard`. Where anything has another class, every version
    /// must be read, which is done only on request (`UsageOptions::billing`). `None` also where there is nothing.
    pub billing: Option<Billing>,
}

impl Usage {
    /// Bytes of bodies of current and other versions and of parts of uploads: what a [`Budget`](crate::Budget) counts.
    pub fn stored_bytes(&self) -> u64 {
        self.bytes + self.noncurrent_bytes + self.upload_bytes
    }

    /// Bytes that OSS would charge for: those of current and other versions, and at least 64 KiB for each in every class
    /// but `Standard`. `None` where [`billing`](Usage::billing) is not known.
    pub fn billable_bytes(&self) -> Option<u64> {
        let nothing = Some(0).filter(|_| self.is_empty());
        self.billing.as_ref().map(Billing::billable_bytes).or(nothing)
    }

    /// Whether there is no version but delete markers.
    pub(crate) fn is_empty(&self) -> bool {
        self.objects + self.noncurrent_objects == 0
    }
}

/// What OSS would charge for under a prefix: what lies there, by storage class, current and other versions together, and
/// delete markers and uploads apart. Nothing of this is enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Billing {
    /// The classes that have a version, from the warmest to the coldest.
    pub classes: Vec<ClassBilling>,
}

impl Billing {
    /// Adds what is charged for elsewhere.
    pub(crate) fn add(&mut self, more: &Billing) {
        for class in &more.classes {
            match self.classes.iter_mut().find(|known| known.class == class.class) {
                Some(known) => {
                    known.objects += class.objects;
                    known.bytes += class.bytes;
                    known.billable_bytes += class.billable_bytes;
                    known.early_objects += class.early_objects;
                    known.early_byte_days += class.early_byte_days;
                }
                None => self.classes.push(*class),
            }
        }
        self.classes.sort_by_key(|class| class.class);
    }

    /// Bytes as they are, in all classes.
    pub fn bytes(&self) -> u64 {
        self.classes.iter().map(|class| class.bytes).sum()
    }

    /// Bytes as OSS counts them, in all classes.
    pub fn billable_bytes(&self) -> u64 {
        self.classes.iter().map(|class| class.billable_bytes).sum()
    }
}

/// What OSS would charge for in one storage class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassBilling {
    /// The class.
    pub class: StorageClass,
    /// How many versions.
    pub objects: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// The same with at least 64 KiB for each, in every class but `Standard`.
    pub billable_bytes: u64,
    /// How many of them have not been there for the minimum duration of the class: to delete, overwrite or convert one
    /// of them now would be charged for as if it stayed until then.
    pub early_objects: u64,
    /// What that would come to: billable bytes times the days that are left, each begun day whole.
    pub early_byte_days: u128,
}

/// A moment as milliseconds since 1970; moments before that count as 1970.
pub(crate) fn to_millis(moment: SystemTime) -> u64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis().min(u128::from(u64::MAX)) as u64
}

/// The moment that a number of milliseconds since 1970 stands for.
pub(crate) fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(i64::MAX as u64))
}

/// Checks user metadata and puts the names into lower case.
pub(crate) fn check_metadata(pairs: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("user metadata may have {MAX_METADATA_BYTES} bytes in all, not {bytes}"),
        ));
    }
    let mut checked = BTreeMap::new();
    for (name, value) in pairs {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(Error::invalid(
                "InvalidArgument",
                format!("{name:?} is not a metadata name: use letters, digits and hyphens"),
            ));
        }
        if value.chars().any(|c| c.is_control()) {
            return Err(Error::invalid(
                "InvalidArgument",
                format!("the value of metadata {name:?} has control characters in it"),
            ));
        }
        if checked.insert(name.to_ascii_lowercase(), value.clone()).is_some() {
            return Err(Error::invalid("InvalidArgument", format!("metadata {name:?} is given twice")));
        }
    }
    Ok(checked)
}

/// Checks a content type.
pub(crate) fn check_content_type(text: &str) -> Result<()> {
    if text.len() > MAX_CONTENT_TYPE_BYTES || text.chars().any(|c| c.is_control()) {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("a content type is at most {MAX_CONTENT_TYPE_BYTES} bytes without control characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn metadata_is_checked_and_lower_cased() {
        let good = check_metadata(&pairs(&[("Owner", "Ann"), ("x-1", "")])).unwrap();
        assert_eq!(good.get("owner").map(String::as_str), Some("Ann"));
        let long = "v".repeat(MAX_METADATA_BYTES);
        for bad in [
            &[("a_b", "1")][..],
            &[("", "1")],
            &[("a", "x\r\ny")],
            &[("A", "1"), ("a", "2")],
            &[("a", &long)],
        ] {
            assert_eq!(check_metadata(&pairs(bad)).unwrap_err().code(), "InvalidArgument", "{bad:?}");
        }
    }
}
