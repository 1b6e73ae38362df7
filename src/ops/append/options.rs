//! Options of an append, and their limits.

use super::pieces::{check_len, known_bytes};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::ObjectRow;
use crate::model::{Acl, ContentHeaders, Durability, ObjectKey, ObjectKind, StorageClass};
use crate::ops::object::body_in::Body;
use crate::ops::object::new_version::Attributes;
use crate::write::storage_class::check_class;

/// What an append is asked to do. The attributes, `pinned` and `priority` count at position 0 only; later ones have no
/// effect (OSS).
///
/// ```
/// use ossicle::{AppendOptions, Durability};
/// let options = AppendOptions::new().content_type("text/plain").durability(Durability::Buffered);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct AppendOptions {
    pub(super) attributes: Attributes,
    pub(super) durability: Option<Durability>,
}

impl AppendOptions {
    /// No attributes, as durable when it returns as the [`Settings`](crate::Settings) have it.
    pub fn new() -> AppendOptions {
        AppendOptions::default()
    }

    /// Sets the media type: at most 1024 bytes.
    pub fn content_type(mut self, text: impl Into<String>) -> AppendOptions {
        self.attributes.content_type = Some(text.into());
        self
    }

    /// Adds a pair of user metadata: letters, digits and hyphens in the name; 8 KiB in all (OSS).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> AppendOptions {
        self.attributes.metadata.insert(name.into(), value.into());
        self
    }

    /// Sets the content headers, such as `Cache-Control`.
    pub fn headers(mut self, headers: ContentHeaders) -> AppendOptions {
        self.attributes.headers = headers;
        self
    }

    /// Adds a tag: at most 10, the key 1 to 128 bytes, the value up to 256 bytes (OSS).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> AppendOptions {
        self.attributes.tags.push((key.into(), value.into()));
        self
    }

    /// Sets an access control value of its own; without one, the bucket's counts.
    pub fn acl(mut self, acl: Acl) -> AppendOptions {
        self.attributes.acl = Some(acl);
        self
    }

    /// Sets the storage class; without one, the bucket's counts. Not `ColdArchive` or `DeepColdArchive` (OSS).
    pub fn storage_class(mut self, class: StorageClass) -> AppendOptions {
        self.attributes.class = Some(class);
        self
    }

    /// Sets whether the object is pinned: a [`Budget`](crate::Budget) never evicts it.
    pub fn pinned(mut self, pinned: bool) -> AppendOptions {
        self.attributes.keeping.pinned = pinned;
        self
    }

    /// Sets the object's priority among what a [`Budget`](crate::Budget) may evict; the lowest goes first, and 128 is what
    /// objects have that are given none.
    pub fn priority(mut self, priority: u8) -> AppendOptions {
        self.attributes.keeping.priority = priority;
        self
    }

    /// Says whether the object is anywhere else as well. With `false` a [`Budget`](crate::Budget) does not evict it until
    /// [`Bucket::set_replicated`](crate::Bucket::set_replicated) says otherwise. Unlike the attributes, `false` counts at every
    /// position, for what is appended is nowhere else either; `true` takes nothing back.
    pub fn replicated(mut self, replicated: bool) -> AppendOptions {
        self.attributes.keeping.replicated = replicated;
        self
    }

    /// Sets when the append is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> AppendOptions {
        self.durability = Some(durability);
        self
    }
}

/// Checks an append before anything is looked at; gives the row that an object would begin with.
pub(super) fn check(
    engine: &Engine,
    key: &str,
    position: u64,
    body: &Body<'_>,
    attributes: &Attributes,
) -> Result<ObjectRow> {
    ObjectKey::new(key)?;
    if let Some(class) = attributes.class {
        check_class(Some(ObjectKind::Appendable), class)?;
    }
    let mut row = attributes.clone().to_row()?;
    row.kind = ObjectKind::Appendable.number();
    engine.check_writable()?;
    check_len(position.saturating_add(known_bytes(body).map_or(0, |bytes| bytes.len() as u64)))?;
    Ok(row)
}
