//! Budgets: `budget show|set|clear|preview`, `pin`, `unpin`, `keep`.

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::address::{Address, with_key};
use super::failure::Failure;
use super::{opening, words};
use crate::{AttributeOptions, Budget, EvictBy, GetOptions, VersionId};

#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Show the budget of a bucket, or of the store
    Show(BudgetArgs),
    /// Set it, over the one there was
    Set(BudgetSetArgs),
    /// Take it away
    Clear(BudgetArgs),
    /// List what would go next: priority, size, time, bucket and key; nothing is changed
    Preview(BudgetPreviewArgs),
}

#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// The bucket; without it, the store
    pub bucket: Option<String>,
}

#[derive(Debug, Args)]
pub struct BudgetSetArgs {
    /// How many bytes, such as `512`, `64K` or `10GiB`
    #[arg(value_parser = size)]
    pub size: u64,
    /// The bucket; without it, the store
    pub bucket: Option<String>,
    /// How many bytes maintenance keeps free [default: a twentieth]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub headroom: Option<u64>,
    /// By what goes first what goes: `lifecycle`, `priority`, `access`, one behind another [default: all, in this order]
    #[arg(long, value_name = "ORDER", value_delimiter = ',', value_parser = order)]
    pub order: Vec<EvictBy>,
}

#[derive(Debug, Args)]
pub struct BudgetPreviewArgs {
    /// The bucket; without it, the store
    pub bucket: Option<String>,
    /// How many of them at most
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct PinArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub object: Address,
    /// This version of the object
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
}

#[derive(Debug, Args)]
pub struct KeepArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub object: Address,
    /// The lowest goes first; 128 is what objects have that are given none
    #[arg(long, value_name = "NUMBER")]
    pub priority: Option<u8>,
    /// Whether it is anywhere else as well, `yes` or `no`; with `no` it is not evicted
    #[arg(long, value_name = "ANSWER", value_parser = yes)]
    pub replicated: Option<bool>,
    /// This version of the object
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
}

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
    writeln!(out, "budget       {}", words::bytes(budget.bytes))?;
    writeln!(out, "headroom     {}", words::bytes(budget.headroom))?;
    writeln!(out, "stored       {}", words::bytes(used))?;
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
        let (size, written) = (words::bytes(next.bytes), words::moment(next.modified));
        let key = words::name(&next.key);
        writeln!(out, "{:>3}  {size:>10}  {written}  {}/{key}{version}", next.priority, next.bucket)?;
    }
    let evictable = preview.evictable;
    writeln!(
        out,
        "{} of {} may go",
        words::counted(evictable.objects, "version"),
        words::bytes(evictable.bytes)
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

fn word(by: EvictBy) -> &'static str {
    match by {
        EvictBy::Lifecycle => "lifecycle",
        EvictBy::Priority => "priority",
        EvictBy::OldestAccess => "access",
    }
}

/// By what goes first what goes.
pub fn order(text: &str) -> Result<EvictBy, String> {
    let found = EvictBy::ALL.into_iter().find(|by| word(*by) == text);
    found.ok_or_else(|| "write `lifecycle`, `priority` or `access`, with commas between".to_string())
}

/// `yes` or `no`.
pub fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("write `yes` or `no`".to_string()),
    }
}

/// A number of bytes, such as `512`, `64K` or `10GiB`: the units are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a number of bytes, such as `512`, `64K` or `10GiB`".to_string();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim_start().to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let place = ["", "K", "M", "G", "T", "P"].iter().position(|known| *known == unit).ok_or_else(wrong)?;
    number.checked_mul(1 << (10 * place)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

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
