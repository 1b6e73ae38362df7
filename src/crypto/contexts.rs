//! What each derived key is for.
//!
//! BLAKE3 calls these contexts: globally unique, fixed for ever, and never made at run time.

/// What stands beside a wrapped store root, so that a wrong one is known before anything is opened with it.
pub const COMMITMENT: &str = "ossicle 2026-11 v1 store root commitment";
/// Keys the sum that guards a slot of the superblock.
pub const SUPERBLOCK: &str = "ossicle 2026-11 v1 superblock";
/// Wraps the shred root.
pub const SHRED_WRAP: &str = "ossicle 2026-11 v1 wrap of the shred root";
/// What a shred root is called.
pub const SHRED_NAME: &str = "ossicle 2026-11 v1 name of a shred root";
/// What everything in a segment hangs on.
pub const SECRET: &str = "ossicle 2026-11 v1 secret of a segment";
/// Wraps the secrets of segments that outlive the root that they hung on.
pub const KEPT: &str = "ossicle 2026-11 v1 kept secrets of segments";
/// Seals the records of one segment.
pub const SEGMENT: &str = "ossicle 2026-11 v1 records of a segment";
/// Seals the pages of one index file.
pub const PAGES: &str = "ossicle 2026-11 v1 pages of an index file";
/// Seals the chunks of one body.
pub const BODY: &str = "ossicle 2026-11 v1 chunks of a body";
/// Mixed into every nonce.
pub const NONCES: &str = "ossicle 2026-11 v1 nonces of an opening";
/// What a key is called where the use of nonces is watched.
pub const MARK: &str = "ossicle 2026-11 v1 mark of a key";
/// Wraps a store root with a key that the caller holds.
pub const WRAP: &str = "ossicle 2026-11 v1 wrap by a static key";
/// Wraps a store root with a key made from a passphrase.
pub const PASSPHRASE: &str = "ossicle 2026-11 v1 wrap by a passphrase";
/// The key of an object, from a customer's key or the key of a bucket.
pub const ENVELOPE: &str = "ossicle 2026-11 v1 key of an enveloped object";
/// What stands with an enveloped object, so that a wrong key is known.
pub const ENVELOPE_COMMITMENT: &str = "ossicle 2026-11 v1 enveloped object commitment";
/// Seals the chunks of one envelope.
pub const ENVELOPE_CHUNKS: &str = "ossicle 2026-11 v1 chunks of an envelope";
/// What stands beside a wrapped key of a bucket.
pub const BUCKET_COMMITMENT: &str = "ossicle 2026-11 v1 bucket key commitment";
/// What a static key is called.
pub const KEY_ID: &str = "ossicle 2026-11 v1 name of a static key";
