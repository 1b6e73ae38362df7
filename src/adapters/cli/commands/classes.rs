//! Storage classes: `class`, `tier`, `restore`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::args::args::{ClassArgs, RestoreArgs, TierArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening};
use crate::{AttributeOptions, GetOptions, RestoreOptions, RestoreStatus, StorageClass, Tier, VersionId};

/// `class`
pub fn class(store: Option<&Path>, args: &ClassArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let version = args.version.as_deref().map(VersionId::parse).transpose()?;
    let key = &args.object.key;
    let Some(class) = args.class else {
        let mut options = GetOptions::new();
        if let Some(version) = version {
            options = options.version(version);
        }
        let store = opening::to_read(store)?;
        writeln!(out, "{}", store.bucket(&args.object.bucket)?.head_with(key, options)?.class)?;
        return Ok(());
    };
    let mut options = AttributeOptions::new();
    if let Some(version) = version {
        options = options.version(version);
    }
    let store = opening::to_write(store)?;
    store.bucket(&args.object.bucket)?.set_storage_class_with(key, class, options)?;
    Ok(store.close()?)
}

/// `tier`
pub fn tier(store: Option<&Path>, args: &TierArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let (Some(class), Some(dir)) = (args.class, &args.dir) {
        let dir =
            std::path::absolute(dir).map_err(|error| Failure::of(format!("{}: {error}", dir.display())))?;
        let opened = opening::to_write_with(store, |builder| builder.tier(class, Tier::new().dir(&dir)))?;
        let place = opened.tier(class);
        opened.close()?;
        return match place.problem {
            Some(why) => Err(Failure::of(why)),
            None => Ok(writeln!(out, "{class} lies in {}", format::path(&place.dir))?),
        };
    }
    let opened = opening::to_read(store)?;
    let tiers = opened.stats().tiers;
    for (class, stats) in StorageClass::ALL.into_iter().zip(tiers) {
        let place = opened.tier(class);
        let (disk, live) = (format::bytes(stats.disk_bytes), format::bytes(stats.live_bytes));
        let segments = format::counted(stats.segments, "segment");
        let told = format!("{segments}, {disk}, {live} of it live");
        writeln!(out, "{:<16}{told:<48}{}", class.to_string(), format::path(&place.dir))?;
        if let Some(problem) = place.problem {
            writeln!(out, "{:<16}out of service: {problem}", "")?;
        }
    }
    Ok(())
}

/// `restore`
pub fn restore(store: Option<&Path>, args: &RestoreArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut options = RestoreOptions::new();
    if let Some(days) = args.days {
        options = options.days(days);
    }
    if let Some(priority) = args.priority {
        options = options.priority(priority);
    }
    if let Some(text) = &args.version {
        options = options.version(VersionId::parse(text)?);
    }
    let store = opening::to_write(store)?;
    let status = store.bucket(&args.object.bucket)?.restore(&args.object.key, options)?;
    writeln!(out, "{}", told(Some(status)))?;
    Ok(store.close()?)
}

/// How far a restoring has come.
pub fn told(status: Option<RestoreStatus>) -> String {
    match status {
        None => "frozen".to_string(),
        Some(RestoreStatus::Ongoing { priority, ready, until }) => {
            let (ready, until) = (format::moment(ready), format::moment(until));
            format!("ongoing ({priority}), to be read from {ready} until {until}")
        }
        Some(RestoreStatus::Restored { until }) => format!("restored until {}", format::moment(until)),
    }
}
