//! What a call is asked for: names, attributes, conditions and ranges, and when they are refused.

use super::{Answer, BAD_ARGUMENT, BAD_KEY, Object, Which};

/// What must hold of the current object.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    pub if_absent: bool,
    pub if_match: Option<String>,
    /// Any but this; with `*`, none at all.
    pub if_none_match: Option<String>,
}

/// What a read is asked for.
#[derive(Clone, Debug, Default)]
pub struct Read {
    pub which: Which,
    pub range: Option<Range>,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    /// Seconds since 1970.
    pub if_modified_since: Option<u64>,
    pub if_unmodified_since: Option<u64>,
}

/// A range in each of the forms that people write.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    Full,
    Span(u64, u64),
    Inclusive(u64, u64),
    From(u64),
    To(u64),
    Last(u64),
}

impl Range {
    pub fn resolve(self, size: u64) -> Answer<std::ops::Range<usize>> {
        let (start, end) = match self {
            Range::Full => (0, u64::MAX),
            Range::Span(start, end) => (start, end),
            Range::Inclusive(start, last) => (start, last.saturating_add(1)),
            Range::From(start) => (start, u64::MAX),
            Range::To(end) => (0, end),
            Range::Last(count) => (size.saturating_sub(count), if count == 0 { 0 } else { u64::MAX }),
        };
        // Everything of an empty body is an empty body; a part of it is not there.
        let is_all = match self {
            Range::Full | Range::From(0) => true,
            Range::Last(count) => count > 0,
            _ => false,
        };
        if size == 0 && is_all {
            return Ok(0..0);
        }
        let end = end.min(size);
        if start >= end { Err("InvalidRange") } else { Ok(start as usize..end as usize) }
    }
}

pub fn check_key(key: &str) -> Answer<()> {
    let fits = (1..=1023).contains(&key.len()) && !key.starts_with('/') && !key.starts_with('\\');
    if fits { Ok(()) } else { Err(BAD_KEY) }
}

pub fn check_bucket_name(name: &str) -> Answer<()> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (3..=63).contains(&name.len()) && name.chars().all(inside);
    if fits && !name.starts_with('-') && !name.ends_with('-') { Ok(()) } else { Err("InvalidBucketName") }
}

pub fn check_row(table: &str, key: &[u8]) -> Answer<()> {
    let fits = (1..=255).contains(&table.len()) && !table.contains('\0') && key.len() <= 800;
    if fits { Ok(()) } else { Err(BAD_ARGUMENT) }
}

pub fn check_text(text: &str) -> Answer<()> {
    if text.len() > 1024 || text.chars().any(char::is_control) { Err(BAD_ARGUMENT) } else { Ok(()) }
}

pub fn same_tag(wanted: &str, etag: &str) -> bool {
    let wanted = wanted.trim();
    let bare = wanted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(wanted);
    bare == "*" || bare.eq_ignore_ascii_case(etag)
}

impl Wants {
    pub fn check(&self, current: Option<&Object>) -> Answer<()> {
        if self.if_absent && current.is_some() {
            return Err("FileAlreadyExists");
        }
        let same = |wanted: &String| current.is_some_and(|object| same_tag(wanted, &object.etag));
        if self.if_none_match.as_ref().is_some_and(same) {
            return Err("PreconditionFailed");
        }
        match &self.if_match {
            Some(wanted) if !current.is_some_and(|object| same_tag(wanted, &object.etag)) => {
                Err("PreconditionFailed")
            }
            _ => Ok(()),
        }
    }
}

impl Read {
    pub fn check(&self, object: &Object) -> Answer<()> {
        let later = |seconds: u64| object.modified / 1000 > seconds;
        // RFC 9110, 13.2.2: of a pair, the time counts only where no tag is given.
        match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) if !same_tag(wanted, &object.etag) => return Err("PreconditionFailed"),
            (None, Some(seconds)) if later(seconds) => return Err("PreconditionFailed"),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(wanted), _) if same_tag(wanted, &object.etag) => Err("NotModified"),
            (None, Some(seconds)) if !later(seconds) => Err("NotModified"),
            _ => Ok(()),
        }
    }
}

/// A prefix that is removed or renamed.
pub fn check_prefix(prefix: &str) -> Answer<()> {
    if prefix.len() > 1023 || prefix.starts_with(['/', '\\']) { Err(BAD_ARGUMENT) } else { Ok(()) }
}
