//! The walk through a bucket: what of it is due by its rules, a bounded stretch at a time.
//!
//! Keys are walked once for all rules, and only where a rule is for them. Of a version that nothing is to be done to, no
//! more is read than the first fields of its row.

use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Found, HeadRow, Kind, Moment, Rows, lifecycle as rows, unreadable};
use crate::engine::View;
use crate::error::{Error, Result};
use crate::format::row::{self, MARKER, ObjectGlance, ObjectRow, PlaceRow, UploadGlance};
use crate::index::Cursor;
use crate::model::{
    Act, DAY, LifecycleAction, ObjectKind, Plan, Region, StorageClass, Subject, UploadId, VersionId,
    Versioning, from_millis,
};
use crate::write::version_chain;

/// What is to be done, and to what.
#[derive(Clone, Debug)]
pub struct Due {
    /// The object's key.
    pub key: String,
    /// What it is.
    pub what: What,
    /// The commit that wrote the row; if it is another one by now, something has changed.
    pub lsn: u64,
    /// What is done, and by which rule.
    pub act: Act,
}

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The current version.
    Current(VersionId),
    /// Another version, with its place as it stands in keys.
    Older(VersionId, [u8; 12]),
    /// An upload.
    Upload(UploadId),
}

/// What a stretch of the walk came to.
#[derive(Debug, Default)]
pub struct Stretch {
    /// What is due.
    pub due: Vec<Due>,
    /// How many versions and uploads were looked at.
    pub seen: u64,
    /// How many were to be deleted and must not be.
    pub held: u64,
    /// Where the walk goes on; `None` at the end of the bucket.
    pub next: Option<PlaceRow>,
}

/// How long a stretch is at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Versions that are looked at.
    pub seen: u64,
    /// Things that are due.
    pub due: usize,
}

/// A walk through a bucket by the rules of a moment.
#[derive(Debug)]
pub struct Scan<'a> {
    /// What is read.
    pub moment: &'a Moment<'a>,
    /// The bucket.
    pub state: &'a BucketState,
    /// The rules.
    pub plan: &'a Plan,
    /// The time that protection counts by, in milliseconds since 1970.
    pub millis: u64,
}

/// A version of which nothing more is known than where its row lies.
struct Seen<'r> {
    key: &'r str,
    payload: &'r [u8],
    lsn: u64,
    /// When the next newer version was written, which counts where it was not written down when that took its place;
    /// `None` for the current one.
    since: Option<u64>,
    alone: bool,
    /// Whether it is known that no older version is beneath it.
    lowest: bool,
    accessed: Option<u64>,
}

/// A stretch that is being walked, in one region.
struct Walk<'w> {
    scan: &'w Scan<'w>,
    rules: &'w [usize],
    asks_tags: bool,
    asks_versions: bool,
    asks_lowest: bool,
    asks_access: bool,
    bounds: Bounds,
    /// Whether the null version of the key goes because a delete marker takes its place.
    null_goes: bool,
    stretch: &'w mut Stretch,
}

fn no_object() -> Error {
    Error::corrupt("the index", 0, "a key among the objects is no object's")
}

impl Scan<'_> {
    /// Walks a stretch from a place on.
    pub fn stretch(&self, place: &PlaceRow, bounds: Bounds) -> Result<Stretch> {
        let mut stretch = Stretch::default();
        let objects = match place {
            PlaceRow::Objects(from) => self.objects(from, None, bounds, &mut stretch)?,
            PlaceRow::Versions { key, tail, modified } => {
                self.objects(key, Some((tail, *modified)), bounds, &mut stretch)?
            }
            PlaceRow::Uploads(_) | PlaceRow::Accesses(_) => true,
        };
        if objects {
            let from = match place {
                PlaceRow::Uploads(from) => &from[..],
                _ => &[],
            };
            self.uploads(from, bounds, &mut stretch)?;
        }
        Ok(stretch)
    }

    /// Walks the objects. Says whether it came to the end.
    fn objects(
        &self,
        from: &[u8],
        within: Option<(&[u8], u64)>,
        bounds: Bounds,
        stretch: &mut Stretch,
    ) -> Result<bool> {
        let mut within = within;
        for region in self.plan.regions(false) {
            if region.end.as_ref().is_some_and(|end| **end <= *from) {
                continue;
            }
            let mut walk = Walk {
                scan: self,
                rules: &region.rules,
                asks_tags: self.plan.asks_tags(&region.rules),
                asks_versions: self.state.versioning().is_some() && self.plan.asks_versions(&region.rules),
                asks_lowest: self.plan.asks_sizes_or_tags(&region.rules),
                asks_access: self.plan.asks_access(&region.rules),
                bounds,
                null_goes: false,
                stretch: &mut *stretch,
            };
            let start = if *region.start > *from { &region.start[..] } else { from };
            let inside = within.take().filter(|_| *start == *from);
            let next = match self.state.route.own_space().filter(|_| self.moment.at.is_none()) {
                Some(space) => walk.plain(space, &region, start, inside)?,
                None => walk.anywhere(&region, start, inside)?,
            };
            if next.is_some() {
                stretch.next = next;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Walks the uploads.
    fn uploads(&self, from: &[u8], bounds: Bounds, stretch: &mut Stretch) -> Result<()> {
        let id = self.state.row.id;
        for region in self.plan.regions(true) {
            let start = keys::uploads_from(id, &region.start);
            let end =
                region.end.as_ref().map_or_else(|| keys::uploads_end(id), |end| keys::uploads_from(id, end));
            let mut next = self.moment.next(start.as_slice().max(from), &end)?;
            while let Some(mut at) = next {
                if stretch.is_full(bounds) {
                    stretch.next = Some(PlaceRow::Uploads(at));
                    return Ok(());
                }
                let (key, lsn, n) =
                    keys::parse_upload(&at).ok_or_else(|| unreadable("the key of an upload is none"))?;
                if let Some(found) = self.moment.get(&at)? {
                    stretch.seen += 1;
                    let begun = UploadGlance::read(&found.payload).map_err(unreadable)?.modified;
                    if let Some(act) = self.plan.aborts(&region.rules, &key, begun) {
                        let what = What::Upload(UploadId::of(lsn, n));
                        stretch.due.push(Due { key, what, lsn: found.lsn, act });
                    }
                }
                at.push(0);
                next = self.moment.next(&at, &end)?;
            }
        }
        Ok(())
    }
}

impl Stretch {
    fn is_full(&self, bounds: Bounds) -> bool {
        self.seen >= bounds.seen || self.due.len() >= bounds.due
    }
}

impl Walk<'_> {
    /// Walks a region of a bucket whose keys lie in one space: rows are read in the order they lie in. Says where to go
    /// on if the stretch ends before the region.
    fn plain(
        &mut self,
        space: u64,
        region: &Region,
        from: &[u8],
        within: Option<(&[u8], u64)>,
    ) -> Result<Option<PlaceRow>> {
        let view = self.scan.moment.view;
        let place = |key: &[u8]| keys::bound(Kind::Head, false, space, key);
        let end = match &region.end {
            Some(end) => place(end),
            None => keys::space_end(Kind::Head, false, space),
        };
        let mut heads = view.index.cursor();
        let (mut versions, mut accesses) = (Beside::new(view), Beside::new(view));
        let mut at = Vec::new();
        let mut within = within;
        heads.seek(&place(from))?;
        while let Some(found) = heads.key().filter(|key| **key < *end) {
            let (_, key) = keys::parse_object(found).ok_or_else(no_object)?;
            if self.stretch.is_full(self.bounds) {
                return Ok(Some(PlaceRow::Objects(key.as_bytes().to_vec())));
            }
            let accessed = match self.asks_access {
                true => {
                    keys::access_into(self.scan.state.row.id, key.as_bytes(), &mut at);
                    accesses.read_day(&at)?
                }
                false => None,
            };
            let has_versions = self.asks_versions && {
                keys::versions_into(space, key.as_bytes(), &mut at);
                versions.go_to(&at)?;
                versions.cursor.key().is_some_and(|key| key.starts_with(&at))
            };
            let inside = within.take().filter(|_| key.as_bytes() == from);
            self.null_goes = false;
            let mut since = match inside {
                Some((_, modified)) => modified,
                None => {
                    let item = heads.item()?.ok_or_else(no_object)?;
                    let stored = view.stored(&item)?;
                    let (payload, lsn) = (&stored.payload[..], stored.lsn);
                    let alone = !has_versions;
                    let seen = Seen { key, payload, lsn, since: None, alone, lowest: alone, accessed };
                    self.look(&seen)?
                }
            };
            if has_versions {
                if let Some((tail, _)) = inside {
                    versions.cursor.seek(&[&at[..], tail, &[0]].concat())?;
                }
                let mut last = inside.map(|(tail, _)| tail.to_vec()).unwrap_or_default();
                while let Some(found) = versions.cursor.key().filter(|key| key.starts_with(&at)) {
                    if self.stretch.is_full(self.bounds) {
                        let key = key.as_bytes().to_vec();
                        return Ok(Some(PlaceRow::Versions { key, tail: last, modified: since }));
                    }
                    last.clear();
                    last.extend_from_slice(&found[at.len()..]);
                    let item = versions.cursor.item()?.ok_or_else(no_object)?;
                    let stored = view.stored(&item)?;
                    let (payload, lsn) = (&stored.payload[..], stored.lsn);
                    let newer = Some(since);
                    // Whether a marker hides anything is seen only behind it.
                    let marker = (self.asks_lowest && is_marker(payload)?).then(|| payload.to_vec());
                    if marker.is_none() {
                        let (alone, lowest) = (false, false);
                        since =
                            self.look(&Seen { key, payload, lsn, since: newer, alone, lowest, accessed })?;
                    }
                    drop(stored);
                    drop(item);
                    versions.cursor.next()?;
                    if let Some(row) = marker {
                        let (payload, alone) = (&row[..], false);
                        let lowest = versions.cursor.key().is_none_or(|key| !key.starts_with(&at));
                        since =
                            self.look(&Seen { key, payload, lsn, since: newer, alone, lowest, accessed })?;
                    }
                }
            }
            heads.next()?;
        }
        Ok(None)
    }

    /// The same in any bucket, and at any moment.
    fn anywhere(
        &mut self,
        region: &Region,
        from: &[u8],
        within: Option<(&[u8], u64)>,
    ) -> Result<Option<PlaceRow>> {
        let bucket_view = self.scan.state.bucket_view(self.scan.moment);
        let mut within = within;
        let mut next = bucket_view.next(Kind::Head, from, region.end.as_deref())?;
        while let Some((at, found)) = next {
            if self.stretch.is_full(self.bounds) {
                return Ok(Some(PlaceRow::Objects(at)));
            }
            let key = str::from_utf8(&at).map_err(|_| no_object())?;
            let accessed = match self.asks_access {
                true => self.read_access(key)?,
                false => None,
            };
            let inside = within.take().filter(|_| *at == *from);
            self.null_goes = false;
            let mut tail = inside.map(|(tail, _)| tail.to_vec()).unwrap_or_default();
            let mut older = match self.asks_versions {
                true => bucket_view.next_version(Kind::Version, &at, &tail)?,
                false => None,
            };
            let mut since = match inside {
                Some((_, modified)) => modified,
                None => {
                    let (payload, lsn) = (&found.payload[..], found.lsn);
                    let alone = older.is_none();
                    self.look(&Seen { key, payload, lsn, since: None, alone, lowest: alone, accessed })?
                }
            };
            while let Some((own, found)) = older {
                if self.stretch.is_full(self.bounds) {
                    return Ok(Some(PlaceRow::Versions { key: at, tail, modified: since }));
                }
                let (payload, lsn) = (&found.payload[..], found.lsn);
                older = bucket_view.next_version(Kind::Version, &at, &own)?;
                let (newer, lowest) = (Some(since), older.is_none());
                since =
                    self.look(&Seen { key, payload, lsn, since: newer, alone: false, lowest, accessed })?;
                tail = own;
            }
            let mut behind = at;
            behind.push(0);
            next = bucket_view.next(Kind::Head, &behind, region.end.as_deref())?;
        }
        Ok(None)
    }

    fn read_access(&self, key: &str) -> Result<Option<u64>> {
        let found = self.scan.moment.get(&keys::access(self.scan.state.row.id, key.as_bytes()))?;
        found.map(|found| Ok(rows::decode_day(&found.payload)? * DAY)).transpose()
    }

    /// Looks at a version: what is due is written down. Says when it was written.
    fn look(&mut self, seen: &Seen<'_>) -> Result<u64> {
        self.stretch.seen += 1;
        let glance = ObjectGlance::read(seen.payload).map_err(unreadable)?;
        let whole: ObjectRow;
        let tags = if self.asks_tags {
            whole = row::decode(seen.payload).map_err(unreadable)?;
            &whole.rare().tags[..]
        } else {
            &[]
        };
        let kind = match glance.kind {
            MARKER => None,
            kind => Some(ObjectKind::from_number(kind).ok_or_else(|| unreadable("a kind is unknown"))?),
        };
        let class = StorageClass::from_number(glance.class);
        let mut subject = Subject {
            key: seen.key,
            size: glance.size,
            modified: glance.modified,
            class: class.ok_or_else(|| unreadable("a storage class is unknown"))?,
            kind,
            tags,
            since: seen.since.map(|newer| glance.superseded.unwrap_or(newer.max(glance.modified))),
            alone: seen.alone,
            lowest: seen.lowest,
            accessed: seen.accessed,
            held: false,
        };
        let mut act = self.scan.plan.decide(self.rules, &subject);
        if let Some(Act { action: LifecycleAction::Expire | LifecycleAction::Remove, .. }) = act {
            let lsn = if glance.lsn == 0 { seen.lsn } else { glance.lsn };
            if is_held(self.scan, seen, lsn)? {
                self.stretch.held += 1;
                subject.held = true;
                act = self.scan.plan.decide(self.rules, &subject);
            }
        }
        if seen.since.is_none() {
            let expires = act.is_some_and(|act| act.action == LifecycleAction::Expire);
            self.null_goes = expires && self.scan.state.versioning() == Some(Versioning::Suspended);
        } else if self.null_goes && !glance.named {
            return Ok(glance.modified);
        }
        if let Some(act) = act {
            let lsn = if glance.lsn == 0 { seen.lsn } else { glance.lsn };
            let version = if glance.named { VersionId::of(lsn, glance.n) } else { VersionId::null() };
            let what = match seen.since {
                None => What::Current(version),
                Some(_) => What::Older(version, keys::version_tail(lsn, glance.n)),
            };
            self.stretch.due.push(Due { key: seen.key.to_string(), what, lsn: seen.lsn, act });
        }
        Ok(glance.modified)
    }
}

fn is_marker(payload: &[u8]) -> Result<bool> {
    Ok(ObjectGlance::read(payload).map_err(unreadable)?.kind == MARKER)
}

/// Whether a version must not be deleted, as far as deleting it would lose anything.
fn is_held(scan: &Scan<'_>, seen: &Seen<'_>, lsn: u64) -> Result<bool> {
    let state = scan.state;
    if !state.row.guarded && state.row.worm.is_none() {
        return Ok(false);
    }
    let row: ObjectRow = row::decode(seen.payload).map_err(unreadable)?;
    let head = HeadRow { row, lsn };
    is_protected(scan.moment, state, seen.key, &head, seen.since.is_none(), scan.millis)
}

/// Whether a deletion of a version (of the object, if it is current) would lose something that is protected. A delete
/// marker on top of an object loses nothing but the null version, where versioning is suspended.
pub fn is_protected(
    rows: &impl Rows,
    state: &BucketState,
    key: &str,
    head: &HeadRow,
    current: bool,
    millis: u64,
) -> Result<bool> {
    let now = from_millis(millis);
    let protects = |head: &HeadRow| version_chain::protection(state, head, now).is_some();
    if !current || state.versioning().is_none() {
        return Ok(protects(head));
    }
    if state.versioning() == Some(Versioning::Enabled) {
        return Ok(false);
    }
    if !head.row.named {
        return Ok(protects(head));
    }
    let null = catalog::find_version(state.bucket_view(rows), key, &VersionId::null())?;
    Ok(null.is_some_and(|(head, ..)| protects(&head)))
}

/// A cursor that only ever goes on, beside another one.
struct Beside<'v> {
    view: &'v View,
    cursor: Cursor<'v>,
    is_placed: bool,
}

impl<'v> Beside<'v> {
    fn new(view: &'v View) -> Beside<'v> {
        Beside { view, cursor: view.index.cursor(), is_placed: false }
    }

    /// Goes on to a key, or to the next one if it is not there.
    fn go_to(&mut self, at: &[u8]) -> Result<()> {
        let is_behind = |cursor: &Cursor<'_>| cursor.key().is_none_or(|key| key >= at);
        if self.is_placed && !is_behind(&self.cursor) {
            // It is next to where it was, more often than not.
            self.cursor.next()?;
        }
        if !std::mem::replace(&mut self.is_placed, true) || !is_behind(&self.cursor) {
            self.cursor.seek(at)?;
        }
        Ok(())
    }

    /// The day in the row of an access, as milliseconds.
    fn read_day(&mut self, at: &[u8]) -> Result<Option<u64>> {
        self.go_to(at)?;
        if self.cursor.key() != Some(at) {
            return Ok(None);
        }
        let item = self.cursor.item()?.ok_or_else(no_object)?;
        Ok(Some(rows::decode_day(&self.view.stored(&item)?.payload)? * DAY))
    }
}

/// What is found where something is due, if it has not changed since.
pub fn find_again<R: Rows>(rows: &R, state: &BucketState, due: &Due) -> Result<Option<Found>> {
    let bucket_view = state.bucket_view(rows);
    let found = match &due.what {
        What::Current(_) => bucket_view.get(Kind::Head, due.key.as_bytes(), b"")?,
        What::Older(_, tail) => bucket_view.get(Kind::Version, due.key.as_bytes(), tail)?,
        What::Upload(id) => {
            let (lsn, n) = id.seq();
            rows.get(&keys::upload(state.row.id, &due.key, lsn, n))?
        }
    };
    Ok(found.filter(|found| found.lsn == due.lsn))
}
