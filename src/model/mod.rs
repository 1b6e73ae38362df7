//! The nouns: names, versions, entity tags, digests, storage classes, metadata, rules, places in the order of commits.
//!
//! *Owns*: the values that people and rooms speak in, and the rules that make them valid.
//! *Promises*:
//! 1. Holding a [`BucketName`], an [`ObjectKey`] or a [`VersionId`] means that it is valid by OSS's rules.
//! 2. Nothing here touches a file, a clock or a lock.
//! 3. A number on disk is given to one value for good.
//!
//! *Stands on*: `error`.
//! *Never*: knows how a value is stored.
//! *Read first*: `name.rs`, then `meta.rs`.

mod acl;
mod budget;
mod change;
mod class;
mod client_encryption;
mod digest;
mod encryption;
mod etag;
mod expiry;
mod headers;
mod kind;
mod lifecycle;
mod lsn;
mod meta;
mod name;
mod quota;
mod range;
mod restore;
mod tags;
pub mod upload;
mod version;
mod worm;

pub use acl::Acl;
pub use budget::{Budget, EvictBy, Evicted, Eviction, EvictionPreview};
pub(crate) use budget::{DEFAULT_PRIORITY, Keeping};
pub use change::{Change, ChangeOp, FeedCursor};
pub use class::StorageClass;
pub(crate) use client_encryption::{
    PartPlan, check_client_encryption, check_client_encryption_kept, is_client_encrypted, no_part_copy,
};
pub(crate) use digest::{Crc64, Hasher, crc64_combine};
pub use digest::{Digests, ObjectDigests};
pub use encryption::{Encryption, ServerSideEncryption};
pub use etag::ETag;
pub use expiry::Expiry;
pub use headers::ContentHeaders;
pub use kind::ObjectKind;
pub use lifecycle::access_monitor::AccessMonitor;
pub use lifecycle::report::{LifecycleAction, LifecycleCounts, LifecycleReport};
pub(crate) use lifecycle::rule::DAY;
pub use lifecycle::rule::{Except, Expiration, Lifecycle, Rule, Transition, When};
pub(crate) use lifecycle::{Act, InForce, Plan, Region, Subject, day_of};
pub use lsn::Lsn;
pub use meta::{Billing, ClassBilling, Durability, Entry, ObjectMeta, Usage};
pub(crate) use meta::{Rare, check_content_type, check_metadata, from_millis, to_millis};
pub use name::{BucketName, ObjectKey};
pub(crate) use name::{MAX_KEY_BYTES, check_list_argument};
pub use quota::Quota;
pub use range::ByteRange;
pub use restore::{RestorePriority, RestoreStatus, RestoreTimes};
pub(crate) use tags::check_tags;
pub use upload::UploadId;
pub use version::{VersionId, Versioning};
pub use worm::{Retention, RetentionMode, Worm, WormState};
