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
mod contexts;
mod envelope;
mod forged;
mod keyring;
mod nonces;
mod provider;
mod sealer;
mod secret;
mod vault;
mod xaes;

pub use chunks::{BODY_NONCE_LEN, ChunkSealer, TAG_LEN};
pub use envelope::{ENVELOPE_CHUNK, ENVELOPE_HEAD, EnvelopeKey, EnvelopeWriter, SEALED_CHUNK, enveloped_len};
pub use forged::Forged;
pub use keyring::{BodyPlace, KEPT_LEN, Keyring, Locked, ShredRoot, Wrapped};
pub use nonces::{Chance, Nonces};
#[cfg(feature = "fuzzing")]
pub use provider::MAX_WRAPPED;
pub use provider::{KeyCallback, KeyProvider, Passphrase, StaticKey};
pub use sealer::{SEAL_LEN, Sealer};
pub use secret::SecretKey;
pub use vault::{CustomerKey, Vault, fingerprint_text};
