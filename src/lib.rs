//! An object store that lives inside your process.
//!
//! **Ossicle** is an object store that lives inside your process: buckets and objects with the semantics of
//! Alibaba Cloud OSS, in one directory, with no server.
//!
//! ```
//! # fn main() -> ossicle::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("store");
//! let store = ossicle::Store::open(&path)?;
//! let photos = store.create_bucket("photos")?;
//! photos.put("2026/cat.jpg", b"not really a cat")?;
//! for entry in photos.list("2026/")? {
//!     println!("{}", entry?.name());
//! }
//! assert_eq!(&photos.get("2026/cat.jpg")?.bytes()?[..], b"not really a cat");
//! # store.close()
//! # }
//! ```
//!
//! What [`put`](Bucket::put) has returned for survives a power cut. What it means in detail, and what it does not,
//! is said in the README.

#[cfg(any(feature = "cli", feature = "client-encryption"))]
pub mod adapters;
mod api;
mod background;
mod catalog;
mod crypto;
mod engine;
mod env;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod model;
mod ops;
mod rescue;
mod segment;
mod write;

pub use api::{
    BackupOptions, Bucket, Buckets, Changes, Differences, Follow, KeyFile, LifecyclePreview, Listing,
    Maintenance, Names, Object, ObjectWriter, RestoreBackupOptions, Rows, SalvageOptions, Snapshot,
    SnapshotBucket, Store, StoreBuilder, TierPlace, Transaction, Upload, Uploads, VerifyOptions,
    VersionListing, WriteOptions,
};
pub use background::compact::CompactOptions;
pub use background::lifecycle::preview::LifecycleDue;
pub use background::reencrypt::{Reencrypted, Skipped};
pub use background::report::MaintainReport;
pub use background::rotate::Rotated;
pub use background::shred::shred::Shredded;
pub use bytes::Bytes;
pub use crypto::{CustomerKey, KeyCallback, KeyProvider, Passphrase, SecretKey, StaticKey};
pub use engine::{ReadMode, Settings, Stats, Tier, TierStats};
pub use env::{
    Clock, Entropy, File, FileId, Lent, Listed, Lock, LockMode, Map, MemoryMap, MemoryVfs, OpenMode,
    OsEntropy, Permissions, RealMap, RealVfs, SeededEntropy, Site, SystemClock, Vfs, VirtualClock, Volume,
};
pub use error::{Error, ErrorKind, Result};
pub use model::{
    AccessMonitor, Acl, Billing, BucketName, Budget, Change, ChangeOp, ClassBilling, ContentHeaders, Digests,
    Durability, ETag, Encryption, Entry, EvictBy, Evicted, Eviction, EvictionPreview, Except, Expiration,
    Expiry, FeedCursor, Lifecycle, LifecycleAction, LifecycleCounts, LifecycleReport, Lsn, ObjectDigests,
    ObjectKind, ObjectMeta, Quota, RestorePriority, RestoreStatus, RestoreTimes, Retention, RetentionMode,
    Rule, ServerSideEncryption, StorageClass, Transition, UploadId, Usage, VersionId, Versioning, When, Worm,
    WormState,
};
pub use ops::append::options::AppendOptions;
pub use ops::bucket::config::Config;
pub use ops::bucket::history::AsOf;
pub use ops::bucket::lifetime::CreateBucketOptions;
pub use ops::copy::options::CopyOptions;
pub use ops::listing::diff::Difference;
pub use ops::listing::options::{ListOptions, Page};
pub use ops::listing::uploads::{UploadEntry, UploadsPage};
pub use ops::listing::usage::UsageOptions;
pub use ops::listing::versions::{VersionEntry, VersionPage};
pub use ops::object::attributes::AttributeOptions;
pub use ops::object::body_in::Body;
pub use ops::object::delete::DeleteOptions;
pub use ops::object::get_options::GetOptions;
pub use ops::object::put::PutOptions;
pub use ops::object::restore::RestoreOptions;
pub use ops::prefix::rename_prefix::PrefixOutcome;
pub use ops::rows::range::RowRange;
pub use ops::upload::options::UploadOptions;
pub use ops::upload::parts::{Part, PartsPage};
pub use rescue::backup::report::{BackupProgress, BackupReport, RestoreReport};
pub use rescue::salvage::remains::DamagedFile;
pub use rescue::salvage::report::{SalvageNote, SalvageProgress, SalvageReport};
pub use rescue::verify::{Problem, VerifyProgress, VerifyReport};
pub use write::outcome::{AppendOutcome, DeleteOutcome, PutOutcome};

/// Tools for testing Ossicle and programs that link it: the disk that can fail.
#[cfg(feature = "testing")]
pub mod testing {
    pub use crate::env::{CutPolicy, Elsewhere, Fault, FaultyDisk, Hit, Planted, as_if_forked};
}

/// The cookbook: a page for each feature, every line of it run as a test.
#[cfg(any(doc, doctest))]
pub mod cookbook {
    #[doc = include_str!("../docs/cookbook/versions.md")]
    pub mod versions {}
    #[doc = include_str!("../docs/cookbook/conditions.md")]
    pub mod conditions {}
    #[doc = include_str!("../docs/cookbook/transactions.md")]
    pub mod transactions {}
    #[doc = include_str!("../docs/cookbook/multipart.md")]
    pub mod multipart {}
    #[doc = include_str!("../docs/cookbook/append.md")]
    pub mod append {}
    #[doc = include_str!("../docs/cookbook/attributes.md")]
    pub mod attributes {}
    #[doc = include_str!("../docs/cookbook/classes.md")]
    pub mod classes {}
    #[doc = include_str!("../docs/cookbook/retention.md")]
    pub mod retention {}
    #[doc = include_str!("../docs/cookbook/budget.md")]
    pub mod budget {}
    #[doc = include_str!("../docs/cookbook/copies.md")]
    pub mod copies {}
    #[doc = include_str!("../docs/cookbook/tiers.md")]
    pub mod tiers {}
    #[doc = include_str!("../docs/cookbook/past.md")]
    pub mod past {}
    #[doc = include_str!("../docs/cookbook/forks.md")]
    pub mod forks {}
    #[doc = include_str!("../docs/cookbook/feed.md")]
    pub mod feed {}
    #[doc = include_str!("../docs/cookbook/lifecycle.md")]
    pub mod lifecycle {}
    #[doc = include_str!("../docs/cookbook/backup.md")]
    pub mod backup {}
    #[doc = include_str!("../docs/cookbook/encryption.md")]
    pub mod encryption {}
    #[cfg(feature = "client-encryption")]
    #[doc = include_str!("../docs/cookbook/client-encryption.md")]
    pub mod client_encryption {}
    #[doc = include_str!("../docs/cookbook/readers.md")]
    pub mod readers {}
}
