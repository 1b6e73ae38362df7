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
//! 5. What is read through a bucket view is the same whether it lies in one space or in many, now or in the retained past,
//!    committed or not yet.
//! 5. What a commit did can be told from its rows alone.
//!
//! *Stands on*: `engine`, `format`, `model`, `error`.
//! *Never*: writes; checks a condition; reads a clock.
//! *Read first*: `keyspace/keys.rs`, then `rows.rs`, `route.rs` and `bucket_view.rs` beside it.

pub mod bucket;
pub mod budget;
pub mod changes;
pub mod damage;
pub mod encryption;
pub mod keyspace;
pub mod lifecycle;
pub mod object;
pub mod repair;
pub mod work;

pub use bucket::{BucketState, find_bucket, list_buckets, no_such_bucket, worm_of};
pub use changes::change::{BucketNames, change_of};
pub use damage::unreadable;
pub use keyspace::bucket_view::{BucketView, layer_ranges};
pub use keyspace::keys::{KINDS, Kind};
pub use keyspace::route::{Layer, Route, Span, unread};
pub use keyspace::rows::{Found, Moment, Rows, encode_past, past_of};
pub use object::{
    HeadRow, MARKER_SLOT, UPLOAD_SLOT, etag_of, find_head, find_plain, find_version, is_frozen, is_marker,
    keep_of, keeping_of, meta_of, no_object, no_such_key, no_such_version, weight_of,
};
pub use repair::key_names::KeyNames;
pub use repair::verify::Audit;
