//! Buckets and what is in them: `mb`, `rb`, `ls`, `du`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::address::Address;
use crate::adapters::cli::args::args::{BucketArgs, DuArgs, LsArgs, MbArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening};
use crate::{CreateBucketOptions, Entry, ListOptions, ObjectMeta, Store};

/// `mb`
pub fn make(store: Option<&Path>, args: &MbArgs, _: &mut dyn Write) -> Result<(), Failure> {
    // A name that is refused must not leave an empty store behind.
    crate::BucketName::new(&args.bucket)?;
    let store = opening::or_make(store, |builder| builder)?;
    store.create_bucket_with(&args.bucket, CreateBucketOptions::new().storage_class(args.class))?;
    Ok(store.close()?)
}

/// `rb`
pub fn remove(store: Option<&Path>, args: &BucketArgs, _: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_write(store)?;
    store.delete_bucket(&args.bucket)?;
    Ok(store.close()?)
}

/// `ls`
pub fn list(store: Option<&Path>, args: &LsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let Some(at) = &args.at else {
        if args.as_of.is_some() {
            return Err(Failure::Usage("`--as-of` lists what is in a bucket: name one".to_string()));
        }
        return list_buckets(&store, args.long, out);
    };
    let mut options = ListOptions::new().prefix(&at.key);
    if !args.recursive {
        options = options.delimiter("/");
    }
    let entries = match args.as_of {
        None => store.bucket(&at.bucket)?.list_with(options)?,
        Some(moment) => store.as_of(moment)?.bucket(&at.bucket)?.list_with(options)?,
    };
    let mut is_empty = true;
    for entry in entries {
        is_empty = false;
        match entry? {
            Entry::Object(meta) if args.long => list_long(&meta, out)?,
            Entry::Prefix(prefix) if args.long => {
                writeln!(out, "{:>14}  {:20}  {:15}  {:32}  {}", "-", "-", "-", "-", format::name(&prefix))?;
            }
            entry => writeln!(out, "{}", format::name(entry.name()))?,
        }
    }
    if is_empty && !at.key.is_empty() { Err(nothing_like(at)) } else { Ok(()) }
}

/// What is said where no key begins as was asked for.
pub fn nothing_like(at: &Address) -> Failure {
    Failure::of(format!("no key in {} begins with {}", at.bucket, format::name(&at.key)))
}

fn list_long(meta: &ObjectMeta, out: &mut dyn Write) -> Result<(), Failure> {
    let (time, name) = (format::moment(meta.modified), format::name(&meta.key));
    writeln!(out, "{:>14}  {time}  {:15}  {}  {name}", meta.size, meta.class, meta.etag)?;
    Ok(())
}

fn list_buckets(store: &Store, long: bool, out: &mut dyn Write) -> Result<(), Failure> {
    for bucket in store.buckets()? {
        let bucket = bucket?;
        if long {
            let usage = bucket.usage("")?;
            write!(out, "{:>12}  {:>10}  ", format::count(usage.objects), format::bytes(usage.bytes))?;
        }
        writeln!(out, "{}", bucket.name())?;
    }
    Ok(())
}

/// `du`
pub fn usage(store: Option<&Path>, args: &DuArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let mut line = |usage: crate::Usage, name: &str| {
        let (objects, size) = (format::counted(usage.objects, "object"), format::bytes(usage.bytes));
        writeln!(out, "{:>14}  {size:>10}  {objects:>18}  {}", usage.bytes, format::name(name))
    };
    let Some(at) = &args.at else {
        for bucket in store.buckets()? {
            let bucket = bucket?;
            line(bucket.usage("")?, bucket.name())?;
        }
        line(store.usage()?, "in all")?;
        return Ok(());
    };
    let usage = store.bucket(&at.bucket)?.usage(&at.key)?;
    if usage.stored_bytes() == 0 && usage.objects == 0 && !at.key.is_empty() {
        return Err(nothing_like(at));
    }
    line(usage, at.to_string().trim_end_matches('/'))?;
    Ok(())
}
