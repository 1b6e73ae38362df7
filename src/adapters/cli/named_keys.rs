//! Named keys and customer keys on the command line.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::failure::Failure;
use crate::adapters::cli::args::encryption::{CustomerArgs, SealArgs};
use crate::{CustomerKey, GetOptions, KeyFile, PutOptions, StoreBuilder};

/// The named keys of the command line; a process has one.
static NAMED: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();

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
