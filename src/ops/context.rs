//! What every verb is given: the engine, and the bucket that is meant.

use std::sync::Arc;

use crate::catalog;
use crate::engine::{Engine, View};
use crate::error::Result;
use crate::model::BucketName;

/// A bucket as a handle names it: by name, and by the id that tells it from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketRef {
    /// The name.
    pub name: BucketName,
    /// The id.
    pub id: u64,
}

impl BucketRef {
    /// `NoSuchBucket` unless the bucket is still there in this view.
    pub fn check(&self, view: &View) -> Result<()> {
        match catalog::find_bucket(view, &self.name)? {
            Some(row) if row.id == self.id => Ok(()),
            _ => Err(catalog::no_such_bucket(&self.name)),
        }
    }
}

/// Where reads take place: a view, and the engine behind it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The view, if it is pinned; otherwise the newest at each call.
    pub pinned: Option<Arc<View>>,
}

impl Reading {
    /// Works with the view. The engine must still be open, even if the view is pinned: another opening of the
    /// store knows nothing of it, and writes over the index pages that only this view reaches.
    pub fn with<R>(&self, work: impl FnOnce(&View) -> Result<R>) -> Result<R> {
        self.engine.check_open()?;
        match &self.pinned {
            Some(view) => work(view),
            None => work(&self.engine.view()),
        }
    }

    /// The view, to be kept.
    pub fn pin(&self) -> Result<Arc<View>> {
        self.engine.check_open()?;
        Ok(self.pinned.clone().unwrap_or_else(|| self.engine.pin()))
    }
}
