//! Tags of an object: `tag`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::args::args::TagArgs;
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening};

/// `tag`
pub fn command(store: Option<&Path>, args: &TagArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if args.tags.is_empty() && !args.clear {
        let store = opening::to_read(store)?;
        for (key, value) in store.bucket(&args.object.bucket)?.tags(&args.object.key)? {
            writeln!(out, "{}={}", format::name(&key), format::name(&value))?;
        }
        return Ok(());
    }
    let store = opening::to_write(store)?;
    let bucket = store.bucket(&args.object.bucket)?;
    if args.clear {
        bucket.clear_tags(&args.object.key)?;
    } else {
        bucket.set_tags(
            &args.object.key,
            args.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        )?;
    }
    Ok(store.close()?)
}
