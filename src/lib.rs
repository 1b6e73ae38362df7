//! An object store that lives inside your process.
//!
//! **Ossicle** is an embedded object store: buckets and objects with the semantics of Alibaba Cloud OSS, in one directory, with
//! no server and no async runtime.
//!
//! ```
//! # fn main() -> ossicle::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("store");
//! let store = ossicle::Store::open(&path)?;
//! let photos = store.create_bucket_if_missing("photos")?;
//! photos.put("2026/cat.jpg", b"not really a cat")?;
//! for entry in photos.list("2026/")? {
//!     println!("{}", entry?.name());
//! }
//! assert_eq!(&photos.get("2026/cat.jpg")?.bytes()?[..], b"not really a cat");
//! # store.close()
//! # }
//! ```
//!
//! # Where to start
//!
//! | to | see |
//! |---|---|
//! | open a store, with settings or a key | [`Store::open`], [`Store::builder`], [`Settings`] |
//! | write, read, list and delete objects | [`Bucket`] |
//! | write a long body piece by piece, or in parts from many threads | [`ObjectWriter`], [`Upload`] |
//! | commit many changes together | [`Store::write`], [`Transaction`] |
//! | read the store as it was | [`Snapshot`], [`Store::as_of`] |
//! | follow what changes | [`Store::changes`] |
//! | read beside the writer, from another process | [`StoreBuilder::read_only`], [`Store::refresh`] |
//! | back up, restore, save a damaged store | [`Store::backup`], [`Store::restore`], [`Store::salvage`] |
//! | branch on an error | [`Error::kind`]; [`Error::code`] has a table of all codes |
//!
//! The module `cookbook` of this documentation has a page with whole programs for each feature.
//!
//! # What it promises
//!
//! 1. **Durable.** When a put returns (with [`Durability::Synced`], the default), the object survives a power cut, if the disk honours
//!    flushes. A `Buffered` one survives the end of the process, and becomes durable with the next synced write, `flush` or checkpoint.
//! 2. **In order.** After a crash the store is as it was after some prefix of its commits, and every synced commit is in that prefix. A
//!    commit is whole or absent, whatever it touches.
//! 3. **Honest.** Damage is never returned as data: every byte is checked against its checksum before it is returned, and damage in the
//!    middle of the log is told apart from a torn tail. No bytes on disk can make Ossicle panic.
//! 4. **Patient.** A full disk fails the write and nothing else. Deletes and maintenance go on, out of a reserve
//!    ([`Settings::reserve_bytes`]) that grows with what they may need, and writing goes on when there is room. Any other write to the log
//!    that fails is reported to its caller and taken back (what may have reached the disk is zeroed, and the zeros are synced), and writing
//!    goes on. What cannot be taken back closes the store for writing until it is opened again: a failed sync, a failed write of a
//!    superblock, a write that could not be zeroed. Opening it tells which commits survived.
//! 5. **Recoverable.** The index is a cache of the log: delete `index.tree` and `index.alt.tree`, open the store, and everything is back.
//!
//! Each promise has tests that try to break it; `docs/HAZARDS.md` in the repository names them.
//!
//! # Limits
//!
//! A key has 1 to 1023 bytes of UTF-8 and does not start with `/` or `\`. The name of a bucket has 3 to 63 lower-case letters,
//! digits and hyphens. An object has at most 48.8 TiB and 8 KiB of user metadata, a row of your own 256 KiB, and a commit 64 MiB of
//! rows. A request beyond a limit fails before a byte is written.
//!
//! One process at a time opens a store for writing, any number of others read beside it. It runs where there is `flock` and `mmap`:
//! on Linux; the code is written for macOS too, but has not been run there.
//!
//! # Features
//!
//! None is on by default, and each only adds.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | the command line tool `ossicle` |
//! | `client-encryption` | bodies that your program encrypts, in the formats of the OSS SDKs |
//! | `testing` | a disk that fails on purpose, for tests of your own program |
//! | `fuzzing`, `planted-bugs` | for the tests of Ossicle itself; no promise of stability |

#![cfg_attr(docsrs, feature(doc_cfg))]

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

/// The cookbook: a page for each feature, with whole programs. Each program is run as a test (`tests/snippets.rs`).
#[cfg(all(doc, not(doctest)))]
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
