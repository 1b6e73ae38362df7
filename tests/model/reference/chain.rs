//! The versions of a key: what they are called, and what a write or a delete makes of them by OSS's rules.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};

use ossicle::{ObjectKind, Versioning};

use super::{Answer, Bucket, Object};

/// The versions and delete markers of one key, the newest first; never empty.
pub type Chain = Vec<Arc<Object>>;

/// What a version is called.
#[derive(Clone, Debug)]
pub enum Name {
    Null,
    /// The store makes the name up; it is learned where it is seen first, and stays.
    Made(Arc<Made>),
}

/// A name that the store makes up.
#[derive(Default)]
pub struct Made {
    text: OnceLock<String>,
    all: Arc<Mutex<BTreeSet<String>>>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text.get())
    }
}

impl Name {
    /// A name that was never used before.
    pub fn fresh(all: &Arc<Mutex<BTreeSet<String>>>) -> Name {
        Name::Made(Arc::new(Made { text: OnceLock::new(), all: all.clone() }))
    }

    /// Whether the store calls it so.
    pub fn is(&self, seen: &str) -> bool {
        match self {
            Name::Null => seen == "null",
            Name::Made(made) => {
                let learn = || {
                    assert!(seen != "null" && made.all.lock().unwrap().insert(seen.to_string()), "{seen}");
                    seen.to_string()
                };
                made.text.get_or_init(learn) == seen
            }
        }
    }

    /// The name, if it was seen.
    pub fn text(&self) -> Option<&str> {
        match self {
            Name::Null => Some("null"),
            Name::Made(made) => made.text.get().map(String::as_str),
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        match (self, other) {
            (Name::Null, Name::Null) => true,
            (Name::Made(one), Name::Made(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// Which version is meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Which {
    #[default]
    Current,
    /// This one.
    Named(Name),
    /// One that no key has.
    Unknown,
}

impl Which {
    pub fn is(&self, object: &Object) -> bool {
        matches!(self, Which::Named(name) if object.name == *name)
    }
}

/// What a put or a delete came to, besides the entity tag.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The version that was made or removed, in a bucket that keeps versions.
    pub version: Option<Which>,
    /// Whether a delete marker was.
    pub marker: bool,
}

impl Bucket {
    /// What the versions of a key are with another one on top, and what that one is called. Refused if a protected
    /// version would be lost.
    pub fn pushed(
        &self,
        key: &str,
        mut object: Object,
        now: u64,
        names: &Arc<Mutex<BTreeSet<String>>>,
    ) -> Answer<(Chain, Option<Name>)> {
        let mut chain = self.room(key, now)?;
        object.name = match self.versioning {
            Some(Versioning::Enabled) => Name::fresh(names),
            None | Some(Versioning::Suspended) => Name::Null,
        };
        let name = self.versioning.map(|_| object.name.clone());
        chain.insert(0, Arc::new(object));
        Ok((chain, name))
    }

    /// What stays of the versions of a key under another one.
    fn room(&self, key: &str, now: u64) -> Answer<Chain> {
        let chain = self.chains.get(key).cloned().unwrap_or_default();
        let goes = |version: &Object| match self.versioning {
            None => true,
            Some(Versioning::Enabled) => false,
            Some(Versioning::Suspended) => version.name == Name::Null,
        };
        let (lost, stays): (Chain, Chain) = chain.into_iter().partition(|version| goes(version));
        lost.iter().try_for_each(|version| version.guard(now))?;
        Ok(stays)
    }

    /// What is left of the versions of a key when it is deleted, and what that comes to.
    pub fn deleted(
        &self,
        key: &str,
        (now, lsn): (u64, u64),
        names: &Arc<Mutex<BTreeSet<String>>>,
    ) -> Answer<(Chain, Outcome)> {
        if self.versioning.is_none() {
            return Ok((self.room(key, now)?, Outcome::default()));
        }
        let (chain, name) = self.pushed(key, Object::marker(now, lsn), now, names)?;
        Ok((chain, Outcome { version: name.map(Which::Named), marker: true }))
    }

    /// The same for one version, for good. `None` if there is no such version.
    pub fn without(&self, key: &str, which: &Which, now: u64) -> Answer<(Option<Chain>, Outcome)> {
        let version = self.versioning.map(|_| which.clone());
        let chain = self.chains.get(key).map_or(&[][..], |chain| &chain[..]);
        let Some(at) = chain.iter().position(|object| which.is(object)) else {
            return Ok((None, Outcome { version, marker: false }));
        };
        chain[at].guard(now)?;
        let mut left = chain.to_vec();
        let marker = left.remove(at).marker;
        Ok((Some(left), Outcome { version, marker }))
    }

    /// Sets the versions of a key; none at all takes the key away.
    pub fn set(&mut self, key: &str, chain: Chain) {
        if chain.is_empty() {
            self.chains.remove(key);
        } else {
            self.chains.insert(key.to_string(), chain);
        }
    }
}

impl Object {
    /// Each commit that may be said to have written it.
    pub fn lsns(&self) -> Vec<u64> {
        [&[self.lsn], &self.moved[..]].concat()
    }

    /// A delete marker.
    pub fn marker(modified: u64, lsn: u64) -> Object {
        Object {
            name: Name::Null,
            marker: true,
            kind: ObjectKind::Normal,
            target: None,
            body: Arc::new([]),
            etag: String::new(),
            digests: Default::default(),
            dressed: Default::default(),
            modified,
            lsn,
            moved: Vec::new(),
            parts: 0,
        }
    }
}
