//! `feed`: what happened in the store, commit by commit.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::adapters::cli::args::args::FeedArgs;
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, opening, stop};
use crate::{Change, ChangeOp, Lsn, Store};

/// How long `--follow` rests between two looks, so that others may open the store.
const REST: Duration = Duration::from_secs(1);

/// How often it looks whether it is to stop.
const NAP: Duration = Duration::from_millis(100);

/// `feed`
pub fn command(store: Option<&Path>, args: &FeedArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if !args.follow {
        let opened = if args.commit { opening::to_write(store)? } else { opening::to_read(store)? };
        tell(&opened, args, args.after.map(Lsn), out)?;
        return Ok(opened.close()?);
    }
    stop::listen();
    let mut after = args.after.map(Lsn);
    while !stop::asked() {
        // Between two looks the store is closed: another process may write into it.
        if let Some(opened) = opening::when_free(store, args.commit)? {
            after = Some(tell(&opened, args, after, out)?);
            opened.close()?;
        }
        for _ in 0..REST.as_millis() / NAP.as_millis() {
            if !stop::asked() {
                std::thread::sleep(NAP);
            }
        }
    }
    Err(Failure::Stopped)
}

/// Writes what is behind `after` (without one: behind the cursor, or all there is) and moves the cursor if that is asked for.
/// Answers with the last commit that was looked at.
fn tell(store: &Store, args: &FeedArgs, after: Option<Lsn>, out: &mut dyn Write) -> Result<Lsn, Failure> {
    let stands = match &args.cursor {
        Some(name) => store.cursor(name)?,
        None => None,
    };
    if let (Some(name), None, None, false) = (&args.cursor, stands, after, args.commit) {
        let shown = format::name(name);
        return Err(Failure::of(format!("there is no cursor {shown}; `--commit` makes it")));
    }
    let mut last = after.or(stands).unwrap_or_else(|| store.stats().feed_start);
    let mut said = false;
    for change in store.changes(last)? {
        let change = change?;
        said |= !change.ops.is_empty();
        last = change.lsn;
        if args.json {
            writeln!(out, "{}", json(&change))?;
        } else {
            for op in &change.ops {
                writeln!(out, "{} {} {}", change.lsn, format::moment(change.time), line(op))?;
            }
        }
    }
    // The cursor moves only when what was said has been handed over.
    out.flush()?;
    if let Some(name) = args.cursor.as_ref().filter(|_| args.commit && (said || stands.is_none())) {
        store.set_cursor(name, last)?;
    }
    Ok(last)
}

fn line(op: &ChangeOp) -> String {
    let at = |bucket: &str, key: &str| format::name(&format!("{bucket}/{key}"));
    let row = |table: &str, key: &[u8]| format::name(&format!("{table} {}", String::from_utf8_lossy(key)));
    match op {
        ChangeOp::Put { bucket, key, meta } => {
            format!("put {} ({})", at(bucket, key), format::bytes(meta.size))
        }
        ChangeOp::Delete { bucket, key } => format!("delete {}", at(bucket, key)),
        ChangeOp::DeletePrefix { bucket, prefix } => format!("delete all of {}", at(bucket, prefix)),
        ChangeOp::RenamePrefix { bucket, prefix, new_prefix } => {
            format!("move all of {} to {}", at(bucket, prefix), format::name(new_prefix))
        }
        ChangeOp::ForkBucket { from, bucket } => format!("fork {from} as {bucket}"),
        ChangeOp::CreateBucket { bucket } => format!("make {bucket}"),
        ChangeOp::DeleteBucket { bucket } => format!("remove {bucket}"),
        ChangeOp::PutRow { table, key, value } => {
            format!("put row {} ({})", row(table, key), format::bytes(value.len() as u64))
        }
        ChangeOp::DeleteRow { table, key } => format!("delete row {}", row(table, key)),
    }
}

/// A change as one line of JSON. Keys and values of rows, which may be any bytes, are in hexadecimal.
fn json(change: &Change) -> String {
    let since = change.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let ops: Vec<String> = change.ops.iter().map(op_json).collect();
    format!("{{\"lsn\":{},\"millis\":{},\"ops\":[{}]}}", change.lsn, since.as_millis(), ops.join(","))
}

fn op_json(op: &ChangeOp) -> String {
    let pairs = |op: &str, pairs: &[(&str, &str)]| {
        let named = pairs.iter().map(|(name, value)| format!(",\"{name}\":{}", quoted(value)));
        format!("{{\"op\":\"{op}\"{}", named.collect::<String>())
    };
    let mut text = match op {
        ChangeOp::Put { bucket, key, meta } => {
            let mut text = pairs("put", &[("bucket", bucket), ("key", key)]);
            let etag = quoted(&meta.etag.to_string());
            let _ = write!(text, ",\"size\":{},\"etag\":{etag}", meta.size);
            if let Some(hash) = &meta.digests.blake3 {
                let _ = write!(text, ",\"blake3\":\"{}\"", format::hex(hash));
            }
            if let Some(content_type) = &meta.content_type {
                let _ = write!(text, ",\"content_type\":{}", quoted(content_type));
            }
            let metadata =
                meta.metadata.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
            let _ = write!(text, ",\"metadata\":{{{}}}", metadata.collect::<Vec<_>>().join(","));
            text
        }
        ChangeOp::Delete { bucket, key } => pairs("delete", &[("bucket", bucket), ("key", key)]),
        ChangeOp::DeletePrefix { bucket, prefix } => {
            pairs("delete_prefix", &[("bucket", bucket), ("prefix", prefix)])
        }
        ChangeOp::RenamePrefix { bucket, prefix, new_prefix } => {
            pairs("rename_prefix", &[("bucket", bucket), ("prefix", prefix), ("new_prefix", new_prefix)])
        }
        ChangeOp::ForkBucket { from, bucket } => pairs("fork_bucket", &[("from", from), ("bucket", bucket)]),
        ChangeOp::CreateBucket { bucket } => pairs("create_bucket", &[("bucket", bucket)]),
        ChangeOp::DeleteBucket { bucket } => pairs("delete_bucket", &[("bucket", bucket)]),
        ChangeOp::PutRow { table, key, value } => {
            pairs("put_row", &[("table", table), ("key", &format::hex(key)), ("value", &format::hex(value))])
        }
        ChangeOp::DeleteRow { table, key } => {
            pairs("delete_row", &[("table", table), ("key", &format::hex(key))])
        }
    };
    text.push('}');
    text
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            // Control characters of all kinds, so that no key can command a terminal.
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", letter as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_json_has_them() {
        assert_eq!(quoted("a\"b\\c\n\u{1b}ü\u{85}"), r#""a\"b\\c\u000a\u001bü\u0085""#);
    }
}
