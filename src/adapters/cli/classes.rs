//! Storage classes: `class`, `restore`.

use std::io::Write;
use std::path::Path;

use super::args::{ClassArgs, RestoreArgs};
use super::failure::Failure;
use super::{opening, words};
use crate::{AttributeOptions, GetOptions, RestoreOptions, RestoreStatus, VersionId};

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
            let (ready, until) = (words::moment(ready), words::moment(until));
            format!("ongoing ({priority}), to be read from {ready} until {until}")
        }
        Some(RestoreStatus::Restored { until }) => format!("restored until {}", words::moment(until)),
    }
}
