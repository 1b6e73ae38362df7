//! The schema: how buckets, objects and the application's rows lie in the ordered map.
//!
//! *Owns*: the keyspaces; the meaning of payloads; what an entry counts for.
//! *Promises*:
//! 1. An object's head row is one seek away from its bucket's id and its key.
//! 2. Keys of a bucket are one range, in the order of their bytes.
//! 3. A row that cannot be read is `Corrupt` and names its key.
//!
//! *Stands on*: `engine`, `format`, `model`, `error`.
//! *Never*: writes; checks a condition; reads a clock.
//! *Read first*: `keys.rs`, then `object.rs`.

mod bucket;
pub mod keys;
mod naming;
mod object;

pub use bucket::{find_bucket, list_buckets, no_such_bucket};
pub use naming::KeyNames;
pub use object::{HeadRow, find_object, meta_of, no_such_key, weight_of};
