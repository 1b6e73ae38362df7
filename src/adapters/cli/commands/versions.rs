//! Versions: `versioning`, `versions`, `undelete`, and for how long the past is kept: `history`.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::buckets::nothing_like;
use crate::adapters::cli::args::args::{HistoryArgs, UndeleteArgs, VersioningArgs, VersionsArgs};
use crate::adapters::cli::failure::{Failure, say};
use crate::adapters::cli::{format, opening};
use crate::{ListOptions, Versioning};

/// `versioning`
pub fn versioning(store: Option<&Path>, args: &VersioningArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(state) = args.state else {
        let store = opening::to_read(store)?;
        let state = match store.bucket(&args.bucket)?.config::<Versioning>()? {
            None => "never enabled",
            Some(Versioning::Enabled) => "enabled",
            Some(Versioning::Suspended) => "suspended",
        };
        writeln!(out, "{state}")?;
        return Ok(());
    };
    let store = opening::to_write(store)?;
    store.bucket(&args.bucket)?.set_config(&state)?;
    Ok(store.close()?)
}

/// `versions`
pub fn list(store: Option<&Path>, args: &VersionsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_read(store)?;
    let options = ListOptions::new().prefix(&args.at.key);
    let mut is_empty = true;
    for entry in store.bucket(&args.at.bucket)?.versions(options)? {
        let entry = entry?;
        is_empty = false;
        let (time, name) = (format::moment(entry.modified), format::name(&entry.key));
        let size = if entry.marker { "deleted".to_string() } else { entry.size.to_string() };
        let now = if entry.latest { "*" } else { " " };
        writeln!(out, "{size:>14}  {time}  {:24} {now} {name}", entry.version.to_string())?;
    }
    if is_empty && !args.at.key.is_empty() { Err(nothing_like(&args.at)) } else { Ok(()) }
}

/// `undelete`
pub fn undelete(store: Option<&Path>, args: &UndeleteArgs, _: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_write(store)?;
    let mut failed = false;
    for address in &args.objects {
        let bucket = store.bucket(&address.bucket)?;
        let is_there = bucket.exists(&address.key)?;
        match bucket.undelete(&address.key) {
            Err(error) if !error.is_not_found() => return Err(Failure::from(error)),
            Err(error) => say(&error.to_string()),
            Ok(_) if is_there => say(&format!("{} is not deleted", format::name(&address.to_string()))),
            Ok(_) => continue,
        }
        failed = true;
    }
    store.close()?;
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// `history`
pub fn history(store: Option<&Path>, args: &HistoryArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(text) = &args.span else {
        let store = opening::to_read(store)?;
        match store.history()? {
            None => writeln!(out, "off")?,
            Some(span) => writeln!(out, "{} s", span.as_secs())?,
        }
        return Ok(());
    };
    let span = span_of(text).map_err(Failure::Usage)?;
    let store = opening::to_write(store)?;
    store.set_history(span)?;
    Ok(store.close()?)
}

/// A length of time as people write it: `90s`, `15m`, `24h`, `7d`; `off` for none.
fn span_of(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    let wrong = || format!("`{text}` is no length of time: write `90s`, `15m`, `24h`, `7d` or `off`");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let total = number.checked_mul(seconds).filter(|total| *total > 0).ok_or_else(wrong)?;
    Ok(Some(Duration::from_secs(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        assert_eq!(span_of("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(span_of("7d"), Ok(Some(Duration::from_secs(7 * 86_400))));
        assert_eq!(span_of("off"), Ok(None));
        for wrong in ["", "5", "d", "-1h", "0s", "1w", "1 h", "99999999999999999999d", "9ä"] {
            assert!(span_of(wrong).is_err(), "{wrong}");
        }
    }
}
