//! Encryption at rest: keys, what is derived from them, and how a unit of bytes is sealed and opened.
//!
//! *Owns*: the cipher (XAES-256-GCM), nonces, the tree of keys of a store, key providers; envelopes, and the keys of buckets
//! and customers.
//! *Promises*:
//! 1. Nothing of a plaintext leaves this room before its tag has verified.
//! 2. No nonce is used twice with a key, not even where the source of randomness repeats itself for the same bytes.
//! 3. Keys are wiped when they are dropped, have no `Clone`, and are never printed; they are compared in constant time.
//! 4. A sealed unit opens only where it was sealed: the store, the kind of unit and its place are part of it.
//! 5. Numbers in a wrapped key are held against limits before any work is done for them.
//!
//! *Stands on*: `error` only; randomness is handed in ([`Chance`]).
//! *Never*: touches a file; knows what a row or an object is; keeps a key longer than its store is open.
//! *Read first*: `keyring.rs`, then `sealer.rs`, `chunks.rs` and `provider.rs`.
//!
//! ```text
//! key provider --wraps--> store root (random) --derives--> superblock key, shred wrap, nonce hedge
//!                              '--wraps--> shred root (random) --derives--> the key of each index file
//!                                               '--derives, or wraps--> a secret for each segment
//!                                                                            '--derives--> the keys of its records
//!                                                                                          and of each body in it
//! customer's key, or bucket key (random) <--wraps-- a named key provider
//!       '--derives--> a key for each enveloped object --derives--> a key for each of its envelopes
//! ```

mod chunks;
mod envelope;
mod keyring;
mod nonces;
mod provider;
mod sealer;
mod secret;
mod vault;
mod xaes;

pub use chunks::{BODY_NONCE_LEN, ChunkSealer, TAG_LEN};
pub use envelope::{ENVELOPE_CHUNK, ENVELOPE_HEAD, EnvelopeKey, EnvelopeWriter, SEALED_CHUNK, enveloped_len};
pub use keyring::{BodyPlace, KEPT_LEN, Keyring, Locked, ShredRoot, Wrapped};
pub use nonces::{Chance, Nonces};
pub use provider::{KeyCallback, KeyProvider, MAX_WRAPPED, Passphrase, StaticKey};
pub use sealer::{SEAL_LEN, Sealer};
pub use secret::SecretKey;
pub use vault::{CustomerKey, Vault, fingerprint_text};

/// A unit did not open: it was changed, moved, or sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// What each derived key is for. BLAKE3 calls these contexts: globally unique, fixed for ever, and never made at run time.
mod contexts {
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
}
