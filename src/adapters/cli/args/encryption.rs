//! Arguments of `encryption` and of customer keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::Encryption;

/// How an object is encrypted that is written.
#[derive(Debug, Args)]
pub struct SealArgs {
    /// Encrypt it with the store's own key (`AES256`) or with a named one (`KMS:NAME`); without it, as the bucket says
    #[arg(long, value_name = "HOW", value_parser = encryption)]
    pub sse: Option<Encryption>,
    #[command(flatten)]
    pub customer: CustomerArgs,
}

/// A key that is brought along.
#[derive(Debug, Args)]
pub struct CustomerArgs {
    /// The file with a key of your own for this object: 32 bytes, or 64 hexadecimal digits. Reading the object needs it too
    #[arg(long, value_name = "FILE")]
    pub customer_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum EncryptionCommand {
    /// Show how the bucket encrypts what is written to it: `AES256`, `KMS:NAME` or `none`
    Show(BucketNamed),
    /// Set how the bucket encrypts what is written to it from now on; what is there stays as it is
    Set(EncryptionSetArgs),
    /// Encrypt nothing more by default; what is there stays as it is
    Clear(BucketNamed),
    /// Make new keys for what is written to the bucket from now on
    Rotate(BucketNamed),
    /// Encrypt again what older keys of the bucket have encrypted, and remove those keys
    Reencrypt(BucketNamed),
}

#[derive(Debug, Args)]
pub struct BucketNamed {
    /// The bucket
    pub bucket: String,
}

#[derive(Debug, Args)]
pub struct EncryptionSetArgs {
    /// The bucket
    pub bucket: String,
    /// `AES256`, the store's own key, or `KMS:NAME`, a named one
    #[arg(value_parser = encryption)]
    pub how: Encryption,
}

/// `AES256` or `KMS:NAME`.
fn encryption(text: &str) -> Result<Encryption, String> {
    let (algorithm, key_id) = match text.split_once(':') {
        Some((algorithm, key_id)) => (algorithm, Some(key_id)),
        None => (text, None),
    };
    Encryption::parse(algorithm, key_id).map_err(|error| error.to_string())
}

/// `NAME=FILE`.
pub fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_string(), path.into())),
        _ => Err("it is written NAME=FILE".to_string()),
    }
}
