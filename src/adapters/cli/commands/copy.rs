//! Copies and moves inside the store: `cp`, `mv`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::address::Address;
use crate::adapters::cli::args::args::{CpArgs, MvArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening};
use crate::{Bucket, CopyOptions, Durability, Entry, ErrorKind, Store, VersionId};

/// `cp`
pub fn copy(store: Option<&Path>, args: &CpArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut options = CopyOptions::new();
    if let Some(class) = args.class {
        options = options.storage_class(class);
    }
    let store = opening::to_write(store)?;
    let (from, to) = (store.bucket(&args.from.bucket)?, store.bucket(&args.to.bucket)?);
    if args.recursive {
        if args.version.is_some() {
            return Err(Failure::Usage("`--version` names one object; leave `--recursive` out".to_string()));
        }
        let copied = each_below(&from, &to, args, &mut |key, new_key| {
            // One sync at the end makes all of them durable.
            to.copy_from(&from, key, new_key, options.clone().durability(Durability::Buffered)).map(drop)
        })?;
        store.flush()?;
        writeln!(out, "copied {}", format::counted(copied, "object"))?;
        return Ok(store.close()?);
    }
    if let Some(version) = &args.version {
        options = options.source_version(version.parse::<VersionId>()?);
    }
    if args.if_absent {
        options = options.if_absent();
    }
    to.copy_from(&from, &args.from.key, &target(&args.from, &args.to)?, options)?;
    Ok(store.close()?)
}

/// Copies what lies below a key of the one bucket to below a key of the other.
fn each_below(
    from: &Bucket,
    to: &Bucket,
    args: &CpArgs,
    copy: &mut dyn FnMut(&str, &str) -> crate::Result<()>,
) -> Result<u64, Failure> {
    let (old, new) = (args.from.directory(), args.to.directory());
    if from.name() == to.name() && new.starts_with(&old) {
        return Err(Failure::Usage(format!("{} cannot be copied into itself", args.from)));
    }
    let mut copied = 0;
    for entry in from.list(&old)? {
        if let Entry::Object(meta) = entry? {
            copy(&meta.key, &format!("{new}{}", &meta.key[old.len()..]))?;
            copied += 1;
        }
    }
    if copied == 0 {
        return Err(opening::nothing_below(&args.from));
    }
    Ok(copied)
}

/// `mv`
pub fn rename(store: Option<&Path>, args: &MvArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_write(store)?;
    let bucket = store.bucket(&args.from.bucket)?;
    if args.recursive {
        if args.from.bucket != args.to.bucket {
            return Err(Failure::Usage(
                "a whole prefix is moved within its bucket; `cp -r` and `rm -r` do it between buckets"
                    .to_string(),
            ));
        }
        let (from, to) = (args.from.directory(), args.to.directory());
        if !from.is_empty() && opening::is_empty(&bucket, &from)? {
            return Err(opening::nothing_below(&args.from));
        }
        let moved = bucket.rename_prefix(&from, &to)?;
        writeln!(out, "moved {}", format::counted(moved.objects, "object"))?;
        return Ok(store.close()?);
    }
    move_one(&store, &bucket, args)?;
    Ok(store.close()?)
}

fn move_one(store: &Store, bucket: &Bucket, args: &MvArgs) -> Result<(), Failure> {
    let new_key = target(&args.from, &args.to)?;
    if args.from.bucket == args.to.bucket {
        bucket.rename(&args.from.key, &new_key)?;
        return Ok(());
    }
    let to = store.bucket(&args.to.bucket)?;
    let moved = store.write(|tx| tx.rename(bucket, &args.from.key, &to, &new_key));
    match moved {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::from(error)),
        done => Ok(done?),
    }
}

/// The key that an object gets; behind a bucket or a `/` at the end it keeps the last part of the one it has.
fn target(from: &Address, to: &Address) -> Result<String, Failure> {
    if !to.key.is_empty() && !to.key.ends_with('/') {
        return Ok(to.key.clone());
    }
    let last = from.key.rsplit('/').next().unwrap_or_default();
    if last.is_empty() {
        return Err(Failure::Usage(format!("say the whole key, as in `{}/key`", to.bucket)));
    }
    Ok(format!("{}{last}", to.key))
}
