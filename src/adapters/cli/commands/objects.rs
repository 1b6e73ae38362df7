//! Single objects: `put`, `get`, `cat`, `rm`, `stat`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::adapters::cli::address::Address;
use crate::adapters::cli::args::args::{CatArgs, GetArgs, PutArgs, RmArgs, Span, StatArgs};
use crate::adapters::cli::failure::{Failure, say};
use crate::adapters::cli::report::Trouble;
use crate::adapters::cli::transfer::file_attributes::Origin;
use crate::adapters::cli::transfer::safe_dir::{Directory, Existing};
use crate::adapters::cli::transfer::sparse::Sparse;
use crate::adapters::cli::{format, named_keys, opening};
use crate::{Body, Bucket, ErrorKind, GetOptions, ListOptions, PutOptions};

/// `put`
pub fn put(store: Option<&Path>, args: &PutArgs, _: &mut dyn Write) -> Result<(), Failure> {
    let shown = format::path(&args.file);
    let key = key_for(args)?;
    let mut options = PutOptions::new();
    if let Some(text) = &args.content_type {
        options = options.content_type(text);
    }
    if args.if_absent {
        options = options.if_absent();
    }
    if let Some(class) = args.class {
        options = options.storage_class(class);
    }
    for (name, value) in &args.metadata {
        options = options.metadata(name, value);
    }
    options = named_keys::write_with(options, &args.seal)?;
    let body = if args.file == Path::new("-") {
        Body::reader(io::stdin().lock())
    } else {
        let file = File::open(&args.file).map_err(|error| Failure::about(&shown, &error))?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(Failure::of(format!("{shown} is a directory; `ossicle import` takes a whole tree")));
        }
        Body::from(file)
    };
    let store = opening::to_write(store)?;
    args.client_key.put(&store.bucket(&args.to.bucket)?, &key, body, options)?;
    Ok(store.close()?)
}

/// The key; a bucket alone or a `/` at the end asks for the name of the file, as `cp` does with a directory.
fn key_for(args: &PutArgs) -> Result<String, Failure> {
    let key = &args.to.key;
    if !key.is_empty() && !key.ends_with('/') {
        return Ok(key.clone());
    }
    let name = args.file.file_name().and_then(|name| name.to_str()).filter(|name| *name != "-");
    let name =
        name.ok_or_else(|| Failure::Usage(format!("say the whole key, as in `{}/key`", args.to.bucket)))?;
    Ok(format!("{key}{name}"))
}

/// `get`
pub fn get(store: Option<&Path>, args: &GetArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let options = named_keys::read_with(GetOptions::new(), &args.customer)?;
    let store = opening::to_read(store)?;
    let bucket = store.bucket(&args.from.bucket)?;
    let mut object = args.client_key.get(&bucket, &args.from.key, options)?;
    if args.to.as_deref() == Some(Path::new("-")) {
        object.copy_to(out)?;
        return Ok(());
    }
    let target = target_of(args)?;
    let shown = format::path(&target);
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = target.file_name().ok_or_else(|| Failure::of(format!("{shown} is no name for a file")))?;
    let about = |error: &io::Error| Failure::about(&shown, error);
    let directory = Directory::open(parent).map_err(|error| Failure::about(format::path(parent), &error))?;
    match directory.look(name).map_err(|error| about(&error))? {
        Existing::Nothing => {}
        Existing::Directory => return Err(Failure::of(format!("{shown} is a directory"))),
        _ if !args.force => {
            return Err(Failure::of(format!("{shown} is there already; `--force` replaces it")));
        }
        _ => {}
    }
    // What was nobody else's when it was taken in is nobody else's again.
    let mode = Origin::of_object(object.meta()).mode_for_file();
    let landed = directory.land(name, mode, |file| {
        let mut sparse = Sparse::new(file);
        object.copy_to(&mut sparse)?;
        sparse.end()?;
        Ok(file.sync_all()?)
    });
    landed.map_err(|trouble| Failure::of(format!("{shown}: {}", Trouble::reason(trouble))))
}

/// The file that an object is written to.
fn target_of(args: &GetArgs) -> Result<PathBuf, Failure> {
    let last = args.from.key.rsplit('/').next().filter(|name| !["", ".", ".."].contains(name));
    let wanted =
        || Failure::Usage(format!("say which file {} is to be written to", format::name(&args.from.key)));
    match &args.to {
        Some(path) if path.is_dir() => Ok(path.join(last.ok_or_else(wanted)?)),
        Some(path) => Ok(path.clone()),
        None => last.map(PathBuf::from).ok_or_else(wanted),
    }
}

/// `cat`
pub fn cat(store: Option<&Path>, args: &CatArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let mut options = GetOptions::new();
    options = match args.range {
        None => options,
        Some(Span::Between(from, to)) => options.range(from..=to),
        Some(Span::From(from)) => options.range(from..),
        Some(Span::Last(bytes)) => options.last(bytes),
    };
    options = named_keys::read_with(options, &args.customer)?;
    for address in &args.objects {
        let bucket = store.bucket(&address.bucket)?;
        let mut object = args.client_key.get(&bucket, &address.key, options.clone())?;
        object.copy_to(out)?;
    }
    Ok(())
}

/// `rm`
pub fn remove(store: Option<&Path>, args: &RmArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if !args.recursive
        && let Some(bare) = args.objects.iter().find(|address| address.key.is_empty())
    {
        let bucket = &bare.bucket;
        return Err(Failure::Usage(format!("`rm -r {bucket}` empties the bucket, `rb {bucket}` removes it")));
    }
    let store = opening::to_write(store)?;
    let mut missing = 0;
    for address in &args.objects {
        let bucket = store.bucket(&address.bucket)?;
        let removed =
            if args.recursive { remove_tree(&bucket, address)? } else { remove_one(&bucket, address)? };
        if removed == 0 && !args.force {
            let shown = format::name(&address.to_string());
            say(&match (args.recursive, address.key.is_empty()) {
                (true, true) => format!("there is nothing in {}", address.bucket),
                (true, false) => format!("there is no object {shown}, and nothing below it"),
                (false, _) => format!("there is no object {shown}"),
            });
            missing += 1;
        } else if args.recursive {
            writeln!(out, "deleted {}", format::counted(removed, "object"))?;
        }
    }
    store.close()?;
    if missing > 0 { Err(Failure::Told) } else { Ok(()) }
}

/// Deletes an object that is there: what never was gets no delete marker either.
fn remove_one(bucket: &Bucket, address: &Address) -> Result<u64, Failure> {
    if !bucket.exists(&address.key)? {
        return Ok(0);
    }
    bucket.delete(&address.key)?;
    Ok(1)
}

/// Deletes an object and what lies below it, not what merely begins with the same letters. One commit, if nothing is in the
/// way; a thousand objects a commit where it has to go one by one, because the key itself is an object as well, or because
/// some are protected: those are told, and stay.
fn remove_tree(bucket: &Bucket, address: &Address) -> Result<u64, Failure> {
    const AT_ONCE: usize = 1000;
    let prefix = address.directory();
    let mut keys = Vec::new();
    if prefix != address.key && bucket.exists(&address.key)? {
        keys.push(address.key.clone());
    }
    let mut options = ListOptions::new().prefix(&prefix);
    // A prefix longer than a key can be has nothing below it.
    let below = |options: ListOptions| match prefix.len() {
        0..=1023 => Ok(bucket.list_page(options)?.entries),
        _ => Ok::<_, Failure>(Vec::new()),
    };
    if keys.is_empty() {
        if below(options.clone().limit(1))?.is_empty() {
            return Ok(0);
        }
        match bucket.delete_prefix(&prefix) {
            Err(error) if error.kind() == ErrorKind::Immutable || error.code() == "TooManyObjects" => {}
            done => return Ok(done?.objects),
        }
    }
    let (mut removed, mut kept) = (0, 0);
    loop {
        let page = below(options.clone().limit(AT_ONCE - keys.len()))?;
        let Some(last) = page.last().map(|entry| entry.name().to_string()).or(keys.last().cloned()) else {
            break;
        };
        keys.extend(page.iter().map(|entry| entry.name().to_string()));
        for (key, deleted) in bucket.delete_many(&keys)? {
            match deleted {
                Ok(_) => removed += 1,
                Err(error) => {
                    say(&format!("{}: {error}", format::name(&format!("{}/{key}", bucket.name()))));
                    kept += 1;
                }
            }
        }
        keys.clear();
        options = options.start_after(last);
    }
    if kept > 0 {
        return Err(Failure::of(format!("{removed} deleted, {kept} not")));
    }
    Ok(removed)
}

/// `stat`
pub fn stat(store: Option<&Path>, args: &StatArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let meta = store.bucket(&args.object.bucket)?.head(&args.object.key)?;
    let content_type = meta.content_type.as_deref().unwrap_or("application/octet-stream (none given)");
    writeln!(out, "key       {}", format::name(&meta.key))?;
    writeln!(out, "size      {} ({})", meta.size, format::bytes(meta.size))?;
    writeln!(out, "type      {}", format::name(content_type))?;
    writeln!(out, "modified  {}", format::moment(meta.modified))?;
    writeln!(out, "etag      {}", meta.etag)?;
    if let Some(hash) = &meta.digests.blake3 {
        writeln!(out, "blake3    {}", format::hex(hash))?;
    }
    writeln!(out, "class     {}", meta.class)?;
    if meta.class.is_archive() {
        writeln!(out, "restore   {}", super::classes::told(meta.restore()))?;
    }
    if let Some(until) = meta.minimum_until() {
        writeln!(out, "charged   until {} at least", format::moment(until))?;
    }
    if let Some(encryption) = meta.encryption() {
        writeln!(out, "encrypted {encryption}")?;
    }
    writeln!(out, "commit    {}", meta.lsn.0)?;
    for (name, value) in &meta.metadata {
        writeln!(out, "meta      {name}: {}", format::name(value))?;
    }
    Ok(())
}
