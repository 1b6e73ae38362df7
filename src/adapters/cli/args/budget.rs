//! Arguments of `budget`, `pin` and `keep`.

use clap::{Args, Subcommand};

use crate::EvictBy;
use crate::adapters::cli::address::{Address, with_key};

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

pub(in crate::adapters) fn word(by: EvictBy) -> &'static str {
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
