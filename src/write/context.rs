//! What every verb is given: the engine, the bucket that is meant, the moment that is read.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Moment, Rows};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::model::{BucketName, ObjectKey};

/// A bucket as a handle names it: by name, and by the id that tells it from a later one of the same name.
#[derive(Clone, Debug)]
pub struct BucketRef {
    /// The name.
    pub name: BucketName,
    /// The id.
    pub id: u64,
    /// Whether a transaction is making it, so that only that knows of it yet.
    coming: bool,
    /// What its row said, and at which state of the structure: looking it up again would double the cost of a get.
    known: Arc<ArcSwapOption<(u64, Arc<BucketState>)>>,
}

impl PartialEq for BucketRef {
    fn eq(&self, other: &BucketRef) -> bool {
        self.id == other.id && self.name == other.name
    }
}

impl BucketRef {
    /// A reference to a bucket.
    pub fn new(name: BucketName, id: u64) -> BucketRef {
        BucketRef { name, id, coming: false, known: Arc::default() }
    }

    /// A reference to a bucket that a transaction is making.
    pub fn coming(name: BucketName, id: u64) -> BucketRef {
        BucketRef { coming: true, ..BucketRef::new(name, id) }
    }

    /// Whether nobody may know of it yet, so that its absence says nothing.
    pub fn may_be_coming(&self) -> bool {
        self.coming
    }

    /// The bucket's state; `NoSuchBucket` unless it is there at this moment.
    pub fn state(&self, moment: &Moment<'_>) -> Result<Arc<BucketState>> {
        if let Some(state) = self.known(moment) {
            return Ok(state);
        }
        let state = self.state_unkept(moment)?;
        if moment.at.is_none() {
            self.known.store(Some(Arc::new((moment.view.structure, state.clone()))));
        }
        Ok(state)
    }

    /// The same, from a view that is not published yet: the handle does not keep the answer.
    pub fn state_unkept(&self, moment: &Moment<'_>) -> Result<Arc<BucketState>> {
        if let Some(state) = self.known(moment) {
            return Ok(state);
        }
        match catalog::find_bucket(moment, &self.name)? {
            Some(state) if state.row.id == self.id => Ok(state),
            _ => Err(catalog::no_such_bucket(&self.name)),
        }
    }

    /// Checks a key that is looked for. No bucket holds one that could not be written, however it got there.
    pub fn admit(&self, _: &Moment<'_>, key: &str) -> Result<()> {
        ObjectKey::new(key).map(|_| ())
    }

    /// The state that was looked up last, if it still holds.
    #[inline]
    pub fn known(&self, moment: &Moment<'_>) -> Option<Arc<BucketState>> {
        let known = self.known.load();
        known
            .as_ref()
            .filter(|known| moment.at.is_none() && known.0 == moment.view.structure)
            .map(|known| known.1.clone())
    }
}

/// Where reads take place: a view, a past moment in it, and the engine behind.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The view, if it is pinned; otherwise the newest at each call.
    pub pinned: Option<Arc<View>>,
    /// The last commit that counts, if it is not the view's own.
    pub at: Option<u64>,
}

impl Reading {
    /// Reads the newest state at each call.
    pub fn newest(engine: &Arc<Engine>) -> Reading {
        Reading { engine: engine.clone(), pinned: None, at: None }
    }

    /// Reads one view.
    pub fn pinned(engine: &Arc<Engine>, view: Arc<View>) -> Reading {
        Reading { engine: engine.clone(), pinned: Some(view), at: None }
    }

    /// The same state at each call.
    pub fn held(&self) -> Reading {
        let pinned = self.pinned.clone().unwrap_or_else(|| self.engine.pin());
        Reading { engine: self.engine.clone(), pinned: Some(pinned), at: self.at }
    }

    /// Works with the moment. The engine must still be open, even if the view is pinned: another opening of the
    /// store knows nothing of it, and writes over the index pages that only this view reaches.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&Moment<'_>) -> Result<R>) -> Result<R> {
        self.engine.check_open()?;
        match &self.pinned {
            Some(view) => work(&Moment { view, at: self.at }),
            None => work(&Moment::now(&self.engine.view())),
        }
    }

    /// The view, to be kept.
    pub fn pin(&self) -> Result<Arc<View>> {
        self.engine.check_open()?;
        Ok(self.pinned.clone().unwrap_or_else(|| self.engine.pin()))
    }
}

/// The bucket with an id, if it is there.
pub fn bucket_of(rows: &impl Rows, id: u64) -> Result<Option<Arc<BucketState>>> {
    let Some(named) = rows.get(&keys::bucket_by_id(id))? else {
        return Ok(None);
    };
    let Ok(name) = BucketName::new(&String::from_utf8_lossy(&named.payload)) else {
        return Ok(None);
    };
    Ok(catalog::find_bucket(rows, &name)?.filter(|state| state.row.id == id))
}
