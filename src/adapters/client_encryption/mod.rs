//! Client-side encryption: bodies that the program encrypts before the store sees them, in the formats of the OSS SDKs.
//!
//! *Owns*: the fields of the metadata that the SDKs keep the wrapped keys in, the cipher of bodies, master keys.
//! *Promises*:
//! 1. What an OSS SDK has encrypted with an RSA key is read here, and what is written here is read by the SDKs.
//! 2. The store gets neither the plain body nor a key that it could be had with.
//! 3. Whatever the metadata says ends in a body or in an error, never in a panic.
//! 4. Memory does not grow with the body; a range is decrypted without what lies before it.
//!
//! *Stands on*: the public face.
//! *Never*: tells whether a body was changed, unless the writer left its MD5: the format has no tag (ADR 0021).
//! *Read first*: `envelope.rs` (what is written where), `bucket.rs` (the verbs), `content.rs` (the cipher).

mod bucket;
mod content;
mod description;
mod envelope;
mod json;
mod master_key;
mod object;
mod rsa_key;
mod service;
mod upload;
mod writer;

pub use bucket::EncryptedBucket;
pub use description::Description;
pub use envelope::Envelope;
pub use master_key::MasterKey;
pub use object::EncryptedObject;
pub use rsa_key::RsaMasterKey;
pub use service::KeyService;
pub use upload::EncryptedUpload;
pub use writer::EncryptedWriter;
