//! Options of a listing, and a page of it.

use crate::error::{Error, Result};
use crate::model::{Entry, VersionId, check_list_argument};

/// How many entries a page has if nothing else is said (OSS's most).
pub const PAGE: usize = 1000;

/// How many entries an iterator fetches at first, and at most.
pub const BATCH: (usize, usize) = (64, 1024);

/// What a listing is asked for.
///
/// ```
/// use ossicle::ListOptions;
/// let options = ListOptions::new().prefix("photos/").delimiter("/").start_after("photos/b").limit(100);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ListOptions {
    pub(crate) prefix: String,
    pub(crate) delimiter: String,
    pub(crate) start: String,
    pub(crate) start_after: String,
    pub(crate) start_after_version: Option<VersionId>,
    pub(crate) start_after_upload: Option<String>,
    pub(crate) limit: Option<usize>,
    pub(crate) descending: bool,
}

impl ListOptions {
    /// Everything.
    pub fn new() -> ListOptions {
        ListOptions::default()
    }

    /// Only keys that start with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> ListOptions {
        self.prefix = prefix.into();
        self
    }

    /// Keys that have this text behind the prefix are rolled up into one entry each time, up to and with it.
    pub fn delimiter(mut self, delimiter: impl Into<String>) -> ListOptions {
        self.delimiter = delimiter.into();
        self
    }

    /// Only entries whose name is this one or comes after it, in the order of bytes. Together with `start_after` both count.
    pub fn start(mut self, name: impl Into<String>) -> ListOptions {
        self.start = name.into();
        self
    }

    /// Only entries whose name comes after this one, in the order of bytes.
    pub fn start_after(mut self, name: impl Into<String>) -> ListOptions {
        self.start_after = name.into();
        self
    }

    /// Only for listings of versions: of the key given to `start_after`, the versions behind this one are still
    /// listed.
    pub fn start_after_version(mut self, version: impl Into<VersionId>) -> ListOptions {
        self.start_after_version = Some(version.into());
        self
    }

    /// Only for listings of uploads: of the key given to `start_after`, the uploads behind this one are still listed.
    pub fn start_after_upload(mut self, id: impl Into<String>) -> ListOptions {
        self.start_after_upload = Some(id.into());
        self
    }

    /// From the last name to the first. `start_after` then gives the entries whose name comes before it, and `start` that
    /// entry and those before it.
    pub fn descending(mut self) -> ListOptions {
        self.descending = true;
        self
    }

    /// At most so many entries: of a page (1000 if nothing is said), or of the whole iteration (no limit if
    /// nothing is said). At least 1.
    pub fn limit(mut self, entries: usize) -> ListOptions {
        self.limit = Some(entries);
        self
    }
}

impl From<&str> for ListOptions {
    fn from(prefix: &str) -> ListOptions {
        ListOptions::new().prefix(prefix)
    }
}

impl From<String> for ListOptions {
    fn from(prefix: String) -> ListOptions {
        ListOptions::new().prefix(prefix)
    }
}

impl From<&String> for ListOptions {
    fn from(prefix: &String) -> ListOptions {
        ListOptions::new().prefix(prefix.as_str())
    }
}

impl ListOptions {
    /// Checks what every listing takes.
    pub(crate) fn check(&self) -> Result<()> {
        check_list_argument("prefix", &self.prefix)?;
        check_list_argument("delimiter", &self.delimiter)?;
        check_list_argument("start", &self.start)?;
        check_list_argument("start_after", &self.start_after)?;
        if self.limit == Some(0) {
            return Err(Error::invalid("InvalidArgument", "the limit of a listing must be at least 1"));
        }
        Ok(())
    }
}

/// One page of a listing.
///
/// Each page shows the bucket as it is when the page is asked for. Over all pages, an object that is there the whole time is
/// told exactly once, whatever is written and removed in between; one that comes or goes meanwhile, once or not at all. For
/// a listing that nothing changes, take one of a [snapshot](crate::Store::snapshot).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// What to give `start_after` for the next page; `None` if this was the last one.
    pub next: Option<String>,
}
