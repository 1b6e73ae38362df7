//! Whole buckets and prefixes: configurations, removed and renamed prefixes, forks, the retained past.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use ossicle::{Acl, Bucket, CreateBucketOptions, Error, Quota, StorageClass, Versioning};

use super::Play;
use super::facts::{Facts, same};
use super::listings::look_at_snapshot;
use crate::history::{BUCKETS, Op};
use crate::reference::{Answer, Handle, Object};

impl Play<'_> {
    /// Plays a call on a whole bucket or a prefix.
    pub(super) fn space_op(&mut self, op: &Op) -> ControlFlow<()> {
        match op {
            Op::CreateBucket(at) => self.create_bucket(*at),
            Op::CreateBucketIfMissing(at) => self.create_bucket_if_missing(*at),
            Op::CreateBucketWith(at, versioning, class) => self.create_bucket_with(*at, *versioning, *class),
            Op::DeleteBucket(at) => {
                same(self.store.delete_bucket(BUCKETS[*at]), self.model.delete_bucket(BUCKETS[*at]));
            }
            Op::Fork(from, to) => {
                let real = self.store.fork_bucket(BUCKETS[*from], BUCKETS[*to]);
                let told = self.model.fork(BUCKETS[*from], BUCKETS[*to]);
                self.keep(*to, real, told);
            }
            Op::SetVersioning(at, versioning) => self.set_versioning(*at, *versioning),
            Op::SetQuota(at, quota) => self.set_quota(*at, *quota),
            Op::SetAcl(at, acl) => {
                if let Some((bucket, handle)) = self.pair(*at, false) {
                    same(bucket.set_config(acl), self.model.set_acl(&handle, *acl));
                    self.take_lsn();
                }
            }
            Op::Configs(at, stale) => self.configs(*at, *stale),
            Op::DeletePrefix(at, prefix) => {
                if let Some((bucket, handle)) = self.pair(*at, false) {
                    let told = self.model.delete_prefix(&handle, prefix);
                    let lsn = self.model.lsn;
                    let real = bucket.delete_prefix(prefix).map(|outcome| (outcome.objects, outcome.lsn.0));
                    same(real, told.map(|objects| (objects, lsn)));
                }
            }
            Op::UndeletePrefix(at, prefix) => {
                if let Some((bucket, handle)) = self.pair(*at, false) {
                    let told = self.model.undelete_prefix(&handle, prefix);
                    let lsn = self.model.lsn;
                    let real = bucket.undelete_prefix(prefix).map(|outcome| (outcome.objects, outcome.lsn.0));
                    same(real, told.map(|objects| (objects, lsn)));
                }
            }
            Op::RenamePrefix(at, old, new) => {
                if let Some((bucket, handle)) = self.pair(*at, false) {
                    let told = self.model.rename_prefix(&handle, old, new);
                    let lsn = self.model.lsn;
                    let real = bucket.rename_prefix(old, new).map(|outcome| (outcome.objects, outcome.lsn.0));
                    same(real, told.map(|objects| (objects, lsn)));
                }
            }
            Op::Diff(before, after) => self.diff(*before, *after),
            Op::LookBack(at, by_time) => self.look_back(*at, *by_time),
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    }

    fn create_bucket(&mut self, at: usize) {
        let real = self.store.create_bucket(BUCKETS[at]);
        let told = self.model.create_bucket(BUCKETS[at]);
        self.keep(at, real, told);
    }

    fn create_bucket_if_missing(&mut self, at: usize) {
        let told = match self.model.bucket(BUCKETS[at]) {
            Err("NoSuchBucket") => self.model.create_bucket(BUCKETS[at]),
            found => found,
        };
        self.keep(at, self.store.create_bucket_if_missing(BUCKETS[at]), told);
    }

    fn create_bucket_with(&mut self, at: usize, versioning: Option<Versioning>, class: Option<StorageClass>) {
        let mut options = CreateBucketOptions::new();
        if let Some(versioning) = versioning {
            options = options.versioning(versioning);
        }
        if let Some(class) = class {
            options = options.storage_class(class);
        }
        let real = self.store.create_bucket_with(BUCKETS[at], options);
        let told = self.model.create_bucket(BUCKETS[at]);
        if let Ok(handle) = &told {
            self.model.set_versioning(handle, versioning).unwrap();
            self.model.set_class(handle, class.unwrap_or_default()).unwrap();
        }
        self.keep(at, real, told);
    }

    /// Keeps the handles of a bucket that was made.
    pub(super) fn keep(&mut self, at: usize, real: Result<Bucket, Error>, told: Answer<Handle>) {
        if let (Ok(bucket), Ok(handle)) = (&real, &told) {
            let pairs = self.handles.entry(at).or_default();
            pairs.push((bucket.clone(), handle.clone()));
            if pairs.len() > 2 {
                pairs.remove(0);
            }
        }
        same(real.map(|bucket| bucket.name().to_string()), told.map(|handle| handle.name));
    }

    /// Whether a configuration that was set as it stood is a commit, nobody promises.
    pub(super) fn take_lsn(&mut self) {
        let lsn = self.store.stats().lsn.0;
        assert!((self.model.lsn.saturating_sub(1)..=self.model.lsn + 1).contains(&lsn));
        self.model.lsn = lsn;
    }

    fn set_versioning(&mut self, at: usize, versioning: Option<Versioning>) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let real = match &versioning {
            Some(versioning) => bucket.set_config(versioning),
            None => bucket.clear_config::<Versioning>(),
        };
        same(real, self.model.set_versioning(&handle, versioning));
        self.take_lsn();
    }

    /// Sets a quota a little above what there is, or below it.
    fn set_quota(&mut self, at: usize, (objects, bytes): (Option<i64>, Option<i64>)) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let usage = self.model.usage(&handle, "").unwrap_or_default();
        let near = |held: u64, more: Option<i64>| more.map(|more| held.saturating_add_signed(more));
        let quota = Quota {
            objects: near(usage.objects + usage.noncurrent_objects, objects),
            bytes: near(usage.bytes + usage.noncurrent_bytes + usage.upload_bytes, bytes),
        };
        let real = match quota == Quota::default() {
            true => bucket.clear_config::<Quota>(),
            false => bucket.set_config(&quota),
        };
        same(real, self.model.set_quota(&handle, quota));
        self.take_lsn();
    }

    /// Everything that is set for a bucket.
    fn configs(&mut self, at: usize, stale: bool) {
        let Some((bucket, handle)) = self.pair(at, stale) else {
            return;
        };
        let told = self.model.check(&handle);
        same(bucket.config::<Versioning>(), told.map(|told| told.versioning));
        same(
            bucket.config::<Quota>(),
            told.map(|told| Some(told.quota).filter(|quota| *quota != Quota::default())),
        );
        same(bucket.config::<Acl>(), told.map(|told| Some(told.acl)));
        let origin = bucket.forked_from().map(|from| from.map(|(name, lsn)| (name.to_string(), lsn.0)));
        same(origin, told.map(|told| told.origin.clone()));
        self.played += 3;
    }

    fn diff(&mut self, before: usize, after: usize) {
        let (Some(before), Some(after)) = (self.pair(before, false), self.pair(after, false)) else {
            return;
        };
        let real = after.0.diff(&before.0).and_then(|differences| {
            differences
                .map(|difference| {
                    let difference = difference?;
                    let facts = |meta: Option<ossicle::ObjectMeta>| meta.map(|meta| Facts::of(&meta));
                    Ok((difference.key, facts(difference.before), facts(difference.after)))
                })
                .collect::<Result<Vec<_>, Error>>()
        });
        let told = self.model.diff(&before.1, &after.1).map(|differs| {
            let facts = |key: &str, object: Option<std::sync::Arc<Object>>, handle| {
                object.map(|object| Facts::told(key, &object, self.model.keeps_versions(handle)))
            };
            let both = differs.into_iter().map(|(key, one, other)| {
                let (one, other) = (facts(&key, one, &before.1), facts(&key, other, &after.1));
                (key, one, other)
            });
            both.collect()
        });
        same(real, told);
    }

    /// Looks at a moment of the past as it was then.
    fn look_back(&mut self, at: usize, by_time: bool) {
        let (Some(told), Some(retained)) = (self.past.get(at), self.world.history()) else {
            self.missed.set(self.missed.get() + 1);
            return;
        };
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(told.now);
        let real = match by_time {
            true => self.store.as_of(moment),
            false => self.store.as_of(ossicle::Lsn(told.lsn)),
        };
        match real {
            Ok(snapshot) => {
                // The last commits up to a time may be those of maintenance, which change nothing.
                let lsn = snapshot.lsn().0;
                assert!(lsn == told.lsn || (by_time && lsn < told.lsn), "{lsn}, not {}", told.lsn);
                self.played += look_at_snapshot(&snapshot, &self.as_read_now(told), true);
            }
            Err(error) => {
                let ago = Duration::from_millis(self.model.now - told.now);
                assert!(error.code() == "NoSuchMoment" && ago >= retained, "{ago:?} ago: {error:?}");
                self.past.remove(at);
            }
        }
    }
}
