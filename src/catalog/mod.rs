//! The schema: how buckets, versions, uploads, the retained past and the application's rows lie in the ordered map.
//!
//! *Owns*: the keyspaces; the meaning of payloads; what an entry counts for; the route from a bucket's keys to the
//! spaces they lie in.
//! *Promises*:
//! 1. The current version of an object is one seek away from its bucket's id and its key, in most buckets.
//! 2. Keys of a space are one range, in the order of their bytes.
//! 3. A row that cannot be read is `Corrupt` and names its key.
//! 4. What the rows of a store add up to can be audited in one pass over them (`audit.rs`), and set right where rows
//!    are lost (`mend.rs`).
//! 5. What is read through a lens is the same whether it lies in one space or in many, now or in the retained past,
//!    committed or not yet.
//! 5. What a commit did can be told from its rows alone.
//!
//! *Stands on*: `engine`, `format`, `model`, `error`.
//! *Never*: writes; checks a condition; reads a clock.
//! *Read first*: `keys.rs`, then `rows.rs`, `route.rs` and `lens.rs`.

mod audit;
mod bucket;
pub mod budget;
mod change;
pub mod encryption;
pub mod keys;
mod lens;
pub mod lifecycle;
mod mend;
mod naming;
pub mod note;
mod object;
mod route;
mod rows;

pub use audit::Audit;
pub use bucket::{BucketState, find_bucket, list_buckets, no_such_bucket, worm_of};
pub use change::{BucketNames, change_of};
pub use keys::{KINDS, Kind};
pub use lens::{Lens, layer_ranges};
pub use naming::KeyNames;
pub use object::{
    HeadRow, MARKER_SLOT, UPLOAD_SLOT, etag_of, find_head, find_plain, find_version, is_frozen, is_marker,
    keep_of, keeping_of, meta_of, no_object, no_such_key, no_such_version, weight_of,
};
pub use route::{Layer, Route, Span, unread};
pub use rows::{Found, Moment, Rows, encode_past, past_of};
