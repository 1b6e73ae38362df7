//! Budgets: `budget show|set|clear|preview`, `pin`, `unpin`, `keep`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::args::budget::{BudgetCommand, BudgetSetArgs, KeepArgs, PinArgs, word};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening};
use crate::{AttributeOptions, Budget, GetOptions, VersionId};

/// `budget`
pub fn command(store: Option<&Path>, command: &BudgetCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        BudgetCommand::Show(args) => show(store, args.bucket.as_deref(), out),
        BudgetCommand::Set(args) => set(store, args),
        BudgetCommand::Clear(args) => {
            let store = opening::to_write(store)?;
            match &args.bucket {
                Some(name) => store.bucket(name)?.clear_config::<Budget>()?,
                None => store.set_budget(None)?,
            }
            Ok(store.close()?)
        }
        BudgetCommand::Preview(args) => preview(store, args.bucket.as_deref(), args.limit, out),
    }
}

fn show(store: Option<&Path>, bucket: Option<&str>, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let (budget, used) = match bucket {
        Some(name) => {
            let bucket = store.bucket(name)?;
            (bucket.config::<Budget>()?, bucket.usage("")?.stored_bytes())
        }
        None => (store.budget()?, store.usage()?.stored_bytes()),
    };
    let Some(budget) = budget else {
        let what = bucket.map_or("the store".to_string(), |name| format!("the bucket {name}"));
        return Err(Failure::of(format!("{what} has no budget")));
    };
    let order: Vec<&str> = budget.order.iter().map(|by| word(*by)).collect();
    writeln!(out, "budget       {}", format::bytes(budget.bytes))?;
    writeln!(out, "headroom     {}", format::bytes(budget.headroom))?;
    writeln!(out, "stored       {}", format::bytes(used))?;
    writeln!(out, "goes first   {}", order.join(","))?;
    Ok(())
}

fn set(store: Option<&Path>, args: &BudgetSetArgs) -> Result<(), Failure> {
    let mut budget = Budget::bytes(args.size);
    if let Some(headroom) = args.headroom {
        budget = budget.headroom(headroom);
    }
    if !args.order.is_empty() {
        budget = budget.order(args.order.iter().copied());
    }
    let store = opening::to_write(store)?;
    match &args.bucket {
        Some(name) => store.bucket(name)?.set_config(&budget)?,
        None => store.set_budget(Some(budget))?,
    }
    Ok(store.close()?)
}

fn preview(
    store: Option<&Path>,
    bucket: Option<&str>,
    limit: usize,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let preview = match bucket {
        Some(name) => store.bucket(name)?.eviction_preview(limit)?,
        None => store.eviction_preview(limit)?,
    };
    for next in &preview.next {
        let version = match &next.version {
            Some(version) if !next.current => format!("  {version}"),
            _ => String::new(),
        };
        let (size, written) = (format::bytes(next.bytes), format::moment(next.modified));
        let key = format::name(&next.key);
        writeln!(out, "{:>3}  {size:>10}  {written}  {}/{key}{version}", next.priority, next.bucket)?;
    }
    let evictable = preview.evictable;
    writeln!(
        out,
        "{} of {} may go",
        format::counted(evictable.objects, "version"),
        format::bytes(evictable.bytes)
    )?;
    Ok(())
}

fn options(version: Option<&str>) -> Result<AttributeOptions, Failure> {
    let version = version.map(VersionId::parse).transpose()?;
    Ok(version.map_or(AttributeOptions::new(), |version| AttributeOptions::new().version(version)))
}

/// `pin` and `unpin`
pub fn pin(store: Option<&Path>, args: &PinArgs, pinned: bool) -> Result<(), Failure> {
    let options = options(args.version.as_deref())?;
    let store = opening::to_write(store)?;
    store.bucket(&args.object.bucket)?.set_pinned_with(&args.object.key, pinned, options)?;
    Ok(store.close()?)
}

/// `keep`
pub fn keep(store: Option<&Path>, args: &KeepArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let key = &args.object.key;
    if args.priority.is_none() && args.replicated.is_none() {
        let store = opening::to_read(store)?;
        let mut which = GetOptions::new();
        if let Some(version) = &args.version {
            which = which.version(VersionId::parse(version)?);
        }
        let meta = store.bucket(&args.object.bucket)?.head_with(key, which)?;
        let told = |yes| if yes { "yes" } else { "no" };
        writeln!(out, "pinned       {}", told(meta.pinned()))?;
        writeln!(out, "priority     {}", meta.priority())?;
        writeln!(out, "replicated   {}", told(meta.replicated()))?;
        return Ok(());
    }
    let options = options(args.version.as_deref())?;
    let store = opening::to_write(store)?;
    let bucket = store.bucket(&args.object.bucket)?;
    if let Some(priority) = args.priority {
        bucket.set_priority_with(key, priority, options.clone())?;
    }
    if let Some(replicated) = args.replicated {
        bucket.set_replicated_with(key, replicated, options)?;
    }
    Ok(store.close()?)
}

#[cfg(test)]
mod tests {
    use crate::adapters::cli::args::budget::size;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("64K", 64 << 10),
            ("64 KiB", 64 << 10),
            ("10GiB", 10 << 30),
            ("2tb", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "K", "-1", "1.5G", "1 X", "99999999999999999999", "99999999999999P"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
