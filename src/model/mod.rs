//! The nouns: names, entity tags, storage classes, metadata, places in the order of commits.
//!
//! *Owns*: the values that people and rooms speak in, and the rules that make them valid.
//! *Promises*:
//! 1. Holding a [`BucketName`] or an [`ObjectKey`] means that it is valid by OSS's rules.
//! 2. Nothing here touches a file, a clock or a lock.
//!
//! *Stands on*: `error`.
//! *Never*: knows how a value is stored.
//! *Read first*: `name.rs`, then `meta.rs`.

mod change;
mod class;
mod etag;
mod lsn;
mod meta;
mod name;
mod range;

pub use change::{Change, ChangeOp, FeedCursor};
pub use class::StorageClass;
pub use etag::ETag;
pub use lsn::Lsn;
pub use meta::{Durability, Entry, ObjectMeta, Usage, VersionId};
pub(crate) use meta::{check_content_type, check_metadata};
pub use name::{BucketName, ObjectKey};
pub(crate) use name::{MAX_KEY_BYTES, check_list_argument};
pub use range::ByteRange;
