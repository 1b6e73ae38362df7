//! Encryption of single objects and of buckets: the flags of `put`, `get` and `cat`, and `encryption`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::wording::translated;
use super::{opening, words};
use crate::{CustomerKey, Encryption, GetOptions, KeyFile, PutOptions, StoreBuilder};

/// The named keys of the command line; a process has one.
static NAMED: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();

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

/// Takes the named keys from the command line.
pub fn choose(keys: &[(String, PathBuf)]) {
    let _ = NAMED.set(keys.to_vec());
}

/// Hands the named keys to an opening.
pub fn equip(mut builder: StoreBuilder) -> Result<StoreBuilder, Failure> {
    for (name, path) in NAMED.get().into_iter().flatten() {
        builder = builder.kms(KeyFile::open(path)?.named(name));
    }
    Ok(builder)
}

/// Adds what the flags of a command that writes say.
pub fn write_with(mut options: PutOptions, args: &SealArgs) -> Result<PutOptions, Failure> {
    if let Some(encryption) = &args.sse {
        options = options.encryption(encryption.clone());
    }
    if let Some(path) = &args.customer.customer_key {
        options = options.customer_key(&CustomerKey::open(path)?);
    }
    Ok(options)
}

/// Adds what the flags of a command that reads say.
pub fn read_with(options: GetOptions, args: &CustomerArgs) -> Result<GetOptions, Failure> {
    match &args.customer_key {
        Some(path) => Ok(options.customer_key(&CustomerKey::open(path)?)),
        None => Ok(options),
    }
}

/// `encryption`
pub fn command(
    store: Option<&Path>,
    command: &EncryptionCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        EncryptionCommand::Show(args) => {
            let found = opening::to_read(store)?.bucket(&args.bucket)?.config::<Encryption>()?;
            writeln!(out, "{}", found.map_or("none".to_string(), |encryption| encryption.to_string()))?;
            Ok(())
        }
        EncryptionCommand::Set(args) => {
            let store = opening::to_write(store)?;
            store.bucket(&args.bucket)?.set_config(&args.how)?;
            Ok(store.close()?)
        }
        EncryptionCommand::Clear(args) => {
            let store = opening::to_write(store)?;
            store.bucket(&args.bucket)?.clear_config::<Encryption>()?;
            Ok(store.close()?)
        }
        EncryptionCommand::Rotate(args) => {
            let store = opening::to_write(store)?;
            let done = store.bucket(&args.bucket)?.rotate_key()?;
            if done.keys == 0 && done.skipped.is_empty() {
                store.close()?;
                return Err(Failure::of(format!("the bucket {} has no keys of its own", args.bucket)));
            }
            writeln!(out, "{}", words::counted(done.keys, "new key"))?;
            for skipped in done.skipped {
                writeln!(out, "passed over {}: {}", skipped.name, translated(&skipped.reason))?;
            }
            Ok(store.close()?)
        }
        EncryptionCommand::Reencrypt(args) => {
            let store = opening::to_write(store)?;
            let bucket = store.bucket(&args.bucket)?;
            let (mut bodies, mut bytes) = (0, 0);
            loop {
                let done = bucket.reencrypt(Duration::from_secs(1))?;
                (bodies, bytes) = (bodies + done.bodies, bytes + done.bytes);
                for skipped in &done.reasons {
                    writeln!(out, "passed over {}: {}", skipped.name, translated(&skipped.reason))?;
                }
                if !done.more {
                    let (bodies, bytes) = (words::counted(bodies, "body"), words::bytes(bytes));
                    let (removed, left) = (words::counted(done.keys_removed, "older key"), done.keys_left);
                    writeln!(out, "{bodies} ({bytes}) encrypted again, {removed} removed, {left} left")?;
                    return Ok(store.close()?);
                }
            }
        }
    }
}
