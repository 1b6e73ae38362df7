//! Multipart uploads (OSS: "Multipart").

pub mod begin;
pub mod complete;
pub mod options;
pub mod parts;
pub mod put_part;
pub mod upload_ref;
