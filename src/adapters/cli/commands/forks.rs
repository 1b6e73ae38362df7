//! Forks of buckets: `fork`, `diff`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::args::args::{DiffArgs, ForkArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening};

/// `fork`
pub fn fork(store: Option<&Path>, args: &ForkArgs, _: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_write(store)?;
    store.fork_bucket(&args.from, &args.bucket)?;
    Ok(store.close()?)
}

/// `diff`
pub fn diff(store: Option<&Path>, args: &DiffArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let bucket = store.bucket(&args.bucket)?;
    let differences = match &args.with {
        Some(other) => bucket.diff(&store.bucket(other)?)?,
        None => bucket.diff_parent()?,
    };
    for difference in differences {
        let difference = difference?;
        let mark = match (&difference.before, &difference.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        writeln!(out, "{mark} {}", format::name(&difference.key))?;
    }
    Ok(())
}
