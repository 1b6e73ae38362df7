//! Conditions of a write: on the object that is there, checked inside the commit.

use crate::catalog::HeadRow;
use crate::error::{Error, ErrorKind, Result};
use crate::model::ETag;

/// What must hold of the current object for a write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub(crate) if_absent: bool,
    pub(crate) if_match: Option<ETag>,
    pub(crate) if_none_match: Option<ETag>,
}

impl Conditions {
    /// Whether there is anything to look at.
    pub(crate) fn is_empty(&self) -> bool {
        !self.if_absent && self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether the conditions hold for the current version. A delete marker is no object.
    pub(crate) fn check(&self, key: &str, current: Option<&HeadRow>) -> Result<()> {
        let current = current.filter(|head| !head.row.is_marker());
        if self.if_absent && current.is_some() {
            return Err(Error::new(
                ErrorKind::Precondition,
                "FileAlreadyExists",
                format!("the object {key:?} exists already, and if_absent was asked for"),
            ));
        }
        self.check_tag(key, current.map(HeadRow::etag))
    }

    /// Whether the entity tag of a version is as it is wanted.
    pub(crate) fn check_etag(&self, key: &str, found: &ETag) -> Result<()> {
        self.check_tag(key, Some(found.clone()))
    }

    fn check_tag(&self, key: &str, found: Option<ETag>) -> Result<()> {
        let is = |named: &ETag| found.as_ref().is_some_and(|etag| etag == named || named.as_str() == "*");
        let failed = |why| Err(Error::new(ErrorKind::Precondition, "PreconditionFailed", why));
        if let Some(wanted) = self.if_match.as_ref().filter(|wanted| !is(wanted)) {
            let found =
                found.as_ref().map_or("there is no object".to_string(), |etag| format!("it is {etag}"));
            return failed(format!("the entity tag of {key:?} should be {wanted}, but {found}"));
        }
        match self.if_none_match.as_ref().filter(|unwanted| is(unwanted)) {
            Some(unwanted) => {
                failed(format!("the entity tag of {key:?} should not be {unwanted}, but it is"))
            }
            None => Ok(()),
        }
    }
}
