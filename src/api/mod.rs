//! The handles that people hold: stores, buckets, objects, listings, transactions.
//!
//! *Owns*: the names of the public face; who keeps what open.
//! *Promises*:
//! 1. Handles are cheap to clone and may be used from any thread.
//! 2. A handle that outlives its bucket or its store gives a clear error.
//! 3. Dropping the last handle of a store closes it in peace.
//!
//! *Stands on*: `maintenance`, `ops`, `engine`, `model`, `env`, `error`.
//! *Never*: decides anything: a method here picks a verb and hands its options down.
//! *Read first*: `handle.rs`, `store.rs`, `bucket.rs`.

mod append;
mod attributes;
mod batch;
mod bucket;
mod budget;
mod builder;
mod care;
mod changes;
mod class;
mod encryption;
mod fork;
mod handle;
mod keys;
mod lifecycle;
mod listing;
mod object;
mod retention;
mod rows;
mod snapshot;
mod store;
mod symlink;
mod transaction;
mod upload;
mod verify;
mod versions;
mod writer;

pub use append::Follow;
pub use bucket::Bucket;
pub use builder::StoreBuilder;
pub use care::{BackupOptions, RestoreBackupOptions, SalvageOptions};
pub use changes::Changes;
pub use class::TierPlace;
pub use fork::Differences;
pub use handle::{Maintenance, Store};
pub use keys::KeyFile;
#[cfg(feature = "fuzzing")]
pub(crate) use keys::parse as parse_key_file;
pub use lifecycle::LifecyclePreview;
pub use listing::{Listing, Names};
pub use object::Object;
pub use rows::Rows;
pub use snapshot::{Snapshot, SnapshotBucket};
pub use store::Buckets;
pub use transaction::{Transaction, WriteOptions};
pub use upload::{Upload, Uploads};
pub use verify::VerifyOptions;
pub use versions::VersionListing;
pub use writer::ObjectWriter;
