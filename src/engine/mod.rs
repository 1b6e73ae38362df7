//! The mechanism: commits, views, checkpoints, recovery and relocation, without one word of OSS.
//!
//! *Owns*: the order of commits; what is durable; which bytes are live; the store's directory.
//! *Promises*:
//! 1. A commit is whole or absent, over any number of keys (I4); its lsn is the one before plus one.
//! 2. After a crash the state is that of a prefix of the commits with every synced one in it (I5).
//! 3. Readers take no lock and see one moment.
//! 4. A failed sync ends writing until the store is opened again (I8); a full disk does not.
//! 5. With the index deleted, opening brings everything back (I11).
//!
//! *Stands on*: `segment`, `index`, `crypto`, `format`, `model`, `env`, `error`.
//! *Never*: reads a row; starts a thread; decides when maintenance is due beyond keeping its bounds.
//! *Read first*: `proposal/proposal.rs`, `commit/commit.rs`, `checkpoint/checkpoint.rs`, `open/recovery.rs`, `feed/log_reader.rs`.
//!
//! Lock order: `moving`, then `checkpointing`, then `writer`, then the superblock; the queue, the tables, the bulk pool, the
//! shortlists and the feed's are leaves. No lock is held while a user's reader is read, except the turn of a transaction that asked for it.

pub mod checkpoint;
pub mod commit;
pub mod directory;
pub mod feed;
pub mod keys;
pub mod open;
pub mod proposal;
pub mod relocate;
pub mod signals;
pub mod state;
pub mod view;

pub use crate::segment::Spender;
pub use commit::commit::Exclusive;
#[cfg(feature = "fuzzing")]
pub use directory::segment_keys::{encode as encode_kept, take_in as take_kept};
pub use feed::log_reader::{CommitScan, RawChange, RawCommit, RawPut};
pub use keys::unlock::Unlock;
pub use open::options::OpenOptions;
pub use proposal::proposal::{Change, Moved, NewBody, Proposal, State, What};
pub use relocate::usage::{Relocated, SegmentUse};
pub use signals::access_log::Touch;
pub use signals::eviction_queue::{Listed, Shortlist, Shortlists, Taken};
pub use signals::stats::{Stats, TierStats};
pub use state::feed::{StoredCursor, cursor_key, cursors};
pub use state::in_flight::Copying;
pub use state::settings::{ReadMode, Settings, Tier};
pub use view::shared_body::{
    BLOB_SPACE, BlobHead, Keyed, SharedRef, blob_of, end_key, head_key, key_sum, piece_key, place_of,
};
pub use view::spaces::{FORWARD_SPACE, LONE_NUMBERS, MOVE_SPACE, forward_key};
pub use view::view::{BodyReader, OwnedBody, STRUCTURE_SPACE, Stored, View};
