//! The chain of versions of a key: what a write or a delete makes of it, by the bucket's versioning (OSS: "Versioning").

use std::time::SystemTime;

use super::outcome::DeleteOutcome;
use crate::catalog::changes::note::Said;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Found, HeadRow, Kind, Rows};
use crate::engine::NewBody;
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, BucketRow, MARKER, ObjectRow};
use crate::index::Weight;
use crate::model::{VersionId, Versioning, from_millis};
use crate::write::staged::overlay::Staged;

/// A body on its way under a key.
#[derive(Clone, Debug)]
pub enum BodySource {
    /// Written for it.
    New(NewBody),
    /// Found under this or another key, which comes with it.
    Found(NewBody, Vec<u8>),
}

/// The keys of one bucket while a step is applied.
#[derive(Debug)]
pub struct Chain<'c, 'a> {
    /// The rows.
    pub staged: &'c mut Staged<'a>,
    /// The bucket.
    pub state: &'c BucketState,
}

impl<'c, 'a> Chain<'c, 'a> {
    /// The chains of a bucket.
    pub fn new(staged: &'c mut Staged<'a>, state: &'c BucketState) -> Chain<'c, 'a> {
        Chain { staged, state }
    }

    /// The current version or delete marker.
    pub fn head(&self, key: &str) -> Result<Option<(HeadRow, Found)>> {
        catalog::find_head(self.state.bucket_view(self.staged), key)
    }

    /// A version by its name, or the current one without; `NoSuchKey` or `NoSuchVersion` if there is none. A delete
    /// marker is no object, named or not (OSS: 404 for everything but reading it).
    pub fn object(&self, key: &str, version: Option<&VersionId>) -> Result<(HeadRow, Found)> {
        match version {
            None => match self.head(key)? {
                Some((head, found)) if !head.row.is_marker() => Ok((head, found)),
                _ => Err(catalog::no_such_key(key)),
            },
            Some(version) => {
                match catalog::find_version(self.state.bucket_view(self.staged), key, version)? {
                    Some((head, found, _)) if !head.row.is_marker() => Ok((head, found)),
                    Some(_) => Err(catalog::no_object(key, version)),
                    None => Err(catalog::no_such_version(key, version)),
                }
            }
        }
    }

    /// Writes a version on top of the chain. The row's place in the order of versions is set here.
    pub fn push(&mut self, key: &str, mut row: ObjectRow, body: BodySource) -> Result<Option<VersionId>> {
        (row.lsn, row.superseded) = (0, None);
        let versioning = self.state.versioning();
        let version = match versioning {
            None => {
                self.release_current(key)?;
                (row.n, row.named) = (0, false);
                None
            }
            Some(Versioning::Enabled) => {
                (row.n, row.named) = (self.staged.number(), true);
                if let Some((head, found)) = self.head(key)? {
                    self.push_down(key, &head, found)?;
                }
                Some(VersionId::of(self.staged.now.lsn, row.n))
            }
            Some(Versioning::Suspended) => {
                (row.n, row.named) = (self.staged.number(), false);
                self.free_null(key)?;
                Some(VersionId::null())
            }
        };
        let weight = catalog::weight_of(&row);
        self.put_row(Kind::Head, key, b"", weight, body, row::encode(&row))?;
        Ok(version)
    }

    /// Writes a version's row again where it stands, with the body it has.
    pub fn rewrite(&mut self, key: &str, row: &ObjectRow, found: Found) -> Result<()> {
        let tail = keys::version_tail(row.lsn, row.n);
        let weight = catalog::weight_of(row);
        let current = self.head(key)?.is_some_and(|(head, _)| head.tail() == tail);
        let (kind, tail) = if current { (Kind::Head, &[][..]) } else { (Kind::Version, &tail[..]) };
        self.put_row(kind, key, tail, weight, BodySource::Found(found.body, found.at), row::encode(row))
    }

    /// Deletes: the object itself, or with a delete marker, by the bucket's versioning.
    pub fn delete(&mut self, key: &str) -> Result<DeleteOutcome> {
        let mut marker = ObjectRow { kind: MARKER, modified: self.staged.now.millis, ..ObjectRow::default() };
        match self.state.versioning() {
            None => {
                self.release_current(key)?;
                self.delete_row(Kind::Head, key, b"")?;
                Ok(DeleteOutcome::default())
            }
            Some(versioning) => {
                if versioning == Versioning::Enabled {
                    (marker.n, marker.named) = (self.staged.number(), true);
                    if let Some((head, found)) = self.head(key)? {
                        self.push_down(key, &head, found)?;
                    }
                } else {
                    marker.n = self.staged.number();
                    self.free_null(key)?;
                }
                let named = marker.named.then(|| VersionId::of(self.staged.now.lsn, marker.n));
                let weight = catalog::weight_of(&marker);
                self.put_row(
                    Kind::Head,
                    key,
                    b"",
                    weight,
                    BodySource::New(NewBody::None),
                    row::encode(&marker),
                )?;
                Ok(DeleteOutcome { version: Some(named.unwrap_or_else(VersionId::null)), marker: true })
            }
        }
    }

    /// Removes one version for good; fine if it is not there. Without the current one, the next is current.
    pub fn delete_version(&mut self, key: &str, version: &VersionId) -> Result<DeleteOutcome> {
        let named = self.state.versioning().map(|_| version.clone());
        let Some((head, _, current)) =
            catalog::find_version(self.state.bucket_view(self.staged), key, version)?
        else {
            return Ok(DeleteOutcome { version: named, marker: false });
        };
        self.guard(key, &head)?;
        self.forget_hold(key, &head)?;
        if current && self.staged.now.mistake.is(Planted::NoPromotion) {
            self.delete_row(Kind::Head, key, b"")?;
        } else if current {
            self.promote(key)?;
        } else {
            self.delete_row(Kind::Version, key, &head.tail())?;
            if !head.row.named {
                self.delete_row(Kind::Null, key, b"")?;
            }
        }
        Ok(DeleteOutcome { version: named, marker: head.row.is_marker() })
    }

    /// Takes the current version away, whatever the bucket's versioning; the next one is current then.
    pub fn promote(&mut self, key: &str) -> Result<()> {
        let Some((tail, found)) =
            self.state.bucket_view(self.staged).next_version(Kind::Version, key.as_bytes(), b"")?
        else {
            return self.delete_row(Kind::Head, key, b"");
        };
        let head = HeadRow::of(key, &found)?;
        self.delete_row(Kind::Version, key, &tail)?;
        if !head.row.named {
            self.delete_row(Kind::Null, key, b"")?;
        }
        let row = ObjectRow { superseded: None, ..head.kept() };
        let weight = catalog::weight_of(&row);
        self.put_row(Kind::Head, key, b"", weight, BodySource::Found(found.body, found.at), row::encode(&row))
    }

    /// Makes room on top of the chain for another null version: the null version that there is, goes.
    fn free_null(&mut self, key: &str) -> Result<()> {
        if let Some((head, found)) = self.head(key)? {
            if !head.row.named {
                self.guard(key, &head)?;
                return self.forget_hold(key, &head);
            }
            self.push_down(key, &head, found)?;
        }
        if self.staged.now.mistake.is(Planted::NullStays) {
            return Ok(());
        }
        if let Some(pointer) = self.state.bucket_view(self.staged).get(Kind::Null, key.as_bytes(), b"")? {
            let tail = pointer.payload;
            if let Some(found) =
                self.state.bucket_view(self.staged).get(Kind::Version, key.as_bytes(), &tail)?
            {
                let head = HeadRow::of(key, &found)?;
                self.guard(key, &head)?;
                self.forget_hold(key, &head)?;
            }
            self.delete_row(Kind::Version, key, &tail)?;
            self.delete_row(Kind::Null, key, b"")?;
        }
        Ok(())
    }

    /// Puts the current version among those that are not, and writes down since when: what takes its place may be
    /// replaced or changed later, which makes this one no younger.
    fn push_down(&mut self, key: &str, head: &HeadRow, found: Found) -> Result<()> {
        // A clock that was set back supersedes nothing before it was written.
        let since = self.staged.now.millis.max(head.row.modified);
        let (row, tail) = (ObjectRow { superseded: Some(since), ..head.kept() }, head.tail());
        let weight = catalog::weight_of(&row);
        self.put_row(
            Kind::Version,
            key,
            &tail,
            weight,
            BodySource::Found(found.body, found.at),
            row::encode(&row),
        )?;
        if !row.named {
            let none = BodySource::New(NewBody::None);
            self.put_row(Kind::Null, key, b"", Weight::default(), none, tail.to_vec())?;
        }
        Ok(())
    }

    /// Writes a row where the bucket's route leads, over what the layers beneath have there.
    pub fn put_row(
        &mut self,
        kind: Kind,
        key: &str,
        tail: &[u8],
        weight: Weight,
        body: BodySource,
        payload: Vec<u8>,
    ) -> Result<()> {
        let at = self.state.bucket_view(self.staged).write_key(kind, key.as_bytes(), tail);
        self.shadow(kind, key, tail)?;
        self.notify(kind, key, &at);
        self.staged.note_laid(self.state, kind, key, tail);
        match body {
            BodySource::New(body) => self.staged.put_new(at, weight, body, payload),
            BodySource::Found(body, from) => self.staged.put_found(at, weight, body, from, payload),
        }
        Ok(())
    }

    /// Removes a row, and hides what the layers beneath have there.
    pub fn delete_row(&mut self, kind: Kind, key: &str, tail: &[u8]) -> Result<()> {
        let at = self.state.bucket_view(self.staged).write_key(kind, key.as_bytes(), tail);
        self.shadow(kind, key, tail)?;
        self.notify(kind, key, &at);
        self.staged.note_laid(self.state, kind, key, tail);
        self.staged.remove(at);
        Ok(())
    }

    /// Makes sure that what the layers beneath have under a key counts no more.
    fn shadow(&mut self, kind: Kind, key: &str, tail: &[u8]) -> Result<()> {
        let Some(shadow) = self.state.bucket_view(self.staged).shadow_key(kind, key.as_bytes(), tail) else {
            return Ok(());
        };
        if self.staged.has(&shadow)? || self.staged.now.mistake.is(Planted::NoShadow) {
            return Ok(());
        }
        let below = self.state.bucket_view(self.staged).get_below(1, kind, key.as_bytes(), tail)?;
        if let Some(below) = below {
            self.staged.put(shadow, below.weight, Vec::new());
        }
        Ok(())
    }

    /// Says which object a row is of, where its key does not.
    fn notify(&mut self, kind: Kind, key: &str, at: &[u8]) {
        if kind == Kind::Head && self.state.route.own_space() != Some(self.state.row.id) {
            let (bucket, key) = (self.state.name.to_string(), key.to_string());
            self.staged.say(Said::Object { bucket, key, at: at.to_vec() });
        }
    }

    /// The current version, if anything in the bucket may be protected; looking costs what a read costs.
    fn head_if_guarded(&self, key: &str) -> Result<Option<(HeadRow, Found)>> {
        if self.state.row.guarded || self.state.row.worm.is_some() { self.head(key) } else { Ok(None) }
    }

    /// Makes sure that the current version may go, which nothing is to remember then.
    fn release_current(&mut self, key: &str) -> Result<()> {
        match self.head_if_guarded(key)? {
            Some((head, _)) => {
                self.guard(key, &head)?;
                self.forget_hold(key, &head)
            }
            None => Ok(()),
        }
    }

    /// Refuses to touch a version that is protected.
    pub fn guard(&self, key: &str, head: &HeadRow) -> Result<()> {
        match protection(self.state, head, from_millis(self.staged.now.millis)) {
            Some(why) => Err(immutable(key, &why)),
            None => Ok(()),
        }
    }

    /// Writes down that a version has a retention or a hold of its own, or that it has none any more. From the first
    /// one on the bucket is looked through for them.
    pub fn mark_hold(&mut self, key: &str, head: &HeadRow, is_held: bool) -> Result<()> {
        if !is_held {
            return self.delete_row(Kind::Hold, key, &head.tail());
        }
        if !self.state.row.guarded {
            let row = BucketRow { guarded: true, ..self.state.row.clone() };
            self.staged.put_bucket(&self.state.name, &row);
        }
        let none = BodySource::New(NewBody::None);
        self.put_row(Kind::Hold, key, &head.tail(), Weight::default(), none, Vec::new())
    }

    /// Forgets that a version that goes has a hold of its own.
    fn forget_hold(&mut self, key: &str, head: &HeadRow) -> Result<()> {
        let rare = head.row.rare();
        if rare.legal_hold || rare.retention.is_some() {
            self.delete_row(Kind::Hold, key, &head.tail())?;
        }
        Ok(())
    }

    /// Refuses if the bucket holds more now than its quota allows.
    pub fn check_quota(&self) -> Result<()> {
        let row = &self.state.row;
        if row.quota_bytes.is_none() && row.quota_objects.is_none() {
            return Ok(());
        }
        let bucket_view = self.state.bucket_view(self.staged);
        let (mut objects, mut bytes) = (0, 0);
        for kind in [Kind::Head, Kind::Version] {
            let totals = bucket_view.totals(kind, b"", None)?;
            for slot in 0..catalog::UPLOAD_SLOT {
                objects += totals.objects(slot);
                bytes += totals.bytes(slot);
            }
        }
        let (from, end) = (keys::uploads_from(row.id, b""), keys::uploads_end(row.id));
        bytes += self.staged.totals(&from, &end)?.bytes(catalog::UPLOAD_SLOT);
        let over = |quota: Option<u64>, used: i64| quota.filter(|quota| used > 0 && used as u64 > *quota);
        let what = if let Some(quota) = over(row.quota_bytes, bytes) {
            format!("{quota} bytes, and would hold {bytes}")
        } else if let Some(quota) = over(row.quota_objects, objects) {
            format!("{quota} objects, and would hold {objects}")
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Quota,
            "QuotaExceeded",
            format!(
                "the bucket {} may hold at most {what}; delete something, or set another quota",
                self.state.name
            ),
        ))
    }
}

/// Why a version may be neither changed nor removed now; `None` if it may.
pub fn protection(state: &BucketState, head: &HeadRow, now: SystemTime) -> Option<String> {
    let row = &head.row;
    if row.is_marker() {
        return None;
    }
    let rare = row.rare();
    if rare.legal_hold {
        return Some("a legal hold is on it; lift that first".to_string());
    }
    if let Some((_, until)) = rare.retention
        && now < from_millis(until)
    {
        return Some(format!("it is retained until {until} milliseconds after 1970"));
    }
    let days = state.row.worm.map_or(0, |(days, ..)| days);
    state.protects(row.modified, now).then(|| format!("its bucket retains objects for {days} days"))
}

/// `FileImmutable`.
pub fn immutable(key: &str, why: &str) -> Error {
    Error::new(ErrorKind::Immutable, "FileImmutable", format!("the object {key:?} cannot be changed: {why}"))
}
