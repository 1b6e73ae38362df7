//! Encryption of single objects and of buckets: the flags of `put`, `get` and `cat`, and `encryption`.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::Encryption;
use crate::adapters::cli::args::encryption::EncryptionCommand;
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::wording::translated;
use crate::adapters::cli::{format, opening};

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
            writeln!(out, "{}", format::counted(done.keys, "new key"))?;
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
                    let (bodies, bytes) = (format::counted(bodies, "body"), format::bytes(bytes));
                    let (removed, left) = (format::counted(done.keys_removed, "older key"), done.keys_left);
                    writeln!(out, "{bodies} ({bytes}) encrypted again, {removed} removed, {left} left")?;
                    return Ok(store.close()?);
                }
            }
        }
    }
}
