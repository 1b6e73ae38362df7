//! Buckets in the ordered map.

use std::sync::Arc;
use std::time::SystemTime;

use super::budget;
use super::encryption;
use super::lifecycle;
use crate::catalog::keyspace::bucket_view::BucketView;
use crate::catalog::keyspace::keys;
use crate::catalog::keyspace::route::Route;
use crate::catalog::keyspace::rows::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, BucketRow};
use crate::model::{BucketName, Budget, Encryption, InForce, Versioning, Worm, WormState, from_millis};

/// A bucket as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketState {
    /// The name.
    pub name: BucketName,
    /// The row.
    pub row: BucketRow,
    /// Where the keys lie.
    pub route: Route,
    /// The lifecycle rules.
    pub lifecycle: Option<Arc<InForce>>,
    /// Whether it notes when objects are read.
    pub monitored: bool,
    /// How it encrypts what is written to it.
    pub encryption: Option<Encryption>,
    /// How much it may hold before something is evicted.
    pub budget: Option<Arc<Budget>>,
}

impl BucketState {
    /// The state that a row says, without the configurations that have rows of their own.
    pub fn new(name: BucketName, row: BucketRow) -> BucketState {
        let route = Route::of(&row);
        BucketState { name, row, route, lifecycle: None, monitored: false, encryption: None, budget: None }
    }

    /// Looks up the configurations that have rows of their own, as far as reading and writing objects asks for them.
    /// Most buckets have none, and it takes one look to see that.
    fn with_configs(mut self, rows: &impl Rows) -> Result<BucketState> {
        let id = self.row.id;
        if rows.next(&keys::config(id, ""), &keys::config(id + 1, ""))?.is_some() {
            self.lifecycle = lifecycle::find_rules(rows, id)?.map(Arc::new);
            self.encryption = encryption::find_encryption(rows, id)?;
            self.monitored = lifecycle::find_monitor(rows, id)?.is_some_and(|row| row.enabled);
            self.budget = budget::find(rows, id)?.map(Arc::new);
        }
        Ok(self)
    }

    /// Whether versions are kept, or were kept once; `None` if they never were.
    pub fn versioning(&self) -> Option<Versioning> {
        Versioning::from_number(self.row.versioning)
    }

    /// The retention of every object.
    pub fn worm(&self) -> Option<Worm> {
        worm_of(&self.row)
    }

    /// Until when an object that was written at `modified` is protected by the bucket.
    pub fn protects(&self, modified: u64, now: SystemTime) -> bool {
        self.worm().is_some_and(|worm| worm.protects(from_millis(modified), now))
    }

    /// The bucket's rows among those of the store.
    pub fn bucket_view<'a, R: Rows>(&'a self, rows: &'a R) -> BucketView<'a, R> {
        BucketView { rows, route: &self.route }
    }
}

/// The retention policy in a bucket's row.
pub fn worm_of(row: &BucketRow) -> Option<Worm> {
    row.worm.map(|(days, locked, created)| {
        let state = if locked { WormState::Locked } else { WormState::InProgress };
        Worm { days, state, created: from_millis(created) }
    })
}

/// A bucket; `None` if there is none of that name.
pub fn find_bucket(rows: &impl Rows, name: &str) -> Result<Option<Arc<BucketState>>> {
    let Some(found) = rows.get(&keys::bucket(name))? else {
        return Ok(None);
    };
    let row: BucketRow = row::decode(&found.payload).map_err(|reason| damaged(name, reason))?;
    let name = BucketName::new(name).map_err(|_| damaged(name, "the name is not valid"))?;
    Ok(Some(Arc::new(BucketState::new(name, row).with_configs(rows)?)))
}

/// The buckets behind `after`, at most `limit` of them, in the order of their names.
pub fn list_buckets(rows: &impl Rows, after: Option<&str>, limit: usize) -> Result<Vec<Arc<BucketState>>> {
    let (start, end) = keys::all_buckets();
    let start = after.map_or(start, |name| {
        let mut key = keys::bucket(name);
        key.push(0);
        key
    });
    let mut names = Vec::new();
    rows.walk(&start, &end, &mut |key| {
        names.push(keys::bucket_name(key).unwrap_or_default().to_string());
        Ok(names.len() < limit)
    })?;
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.extend(find_bucket(rows, &name)?);
    }
    Ok(found)
}

/// `NoSuchBucket`.
pub fn no_such_bucket(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchBucket",
        format!("the bucket {name} does not exist; make it with `store.create_bucket`"),
    )
}

fn damaged(name: &str, reason: &str) -> Error {
    Error::corrupt(format!("the row of bucket {name:?}"), 0, reason)
}
