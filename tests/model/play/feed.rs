//! The change feed: followed by a mirror that does again what it tells, and the cursors of those who follow.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::SystemTime;

use ossicle::{ChangeOp, Lsn, Store};

use super::Play;
use super::facts::{Facts, same};
use crate::history::Op;
use crate::reference::{Answer, Line, List, moment};

/// The cursor of the mirror.
const MIRROR: &str = "mirror";
/// The names of other cursors; one is none.
const NAMES: [&str; 4] = ["a", "b", "\u{1F408}/x", ""];

/// What a store holds, by what its feed has told.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    lsn: u64,
    time: Option<SystemTime>,
    buckets: BTreeMap<String, BTreeMap<String, Facts>>,
    rows: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    /// By name: the commit, and when it was set.
    cursors: BTreeMap<String, (u64, u64)>,
}

impl Mirror {
    /// Begins to follow an empty store.
    pub(super) fn begin(store: &Store, now: u64) -> Mirror {
        let lsn = store.stats().lsn;
        store.set_cursor(MIRROR, lsn).unwrap();
        let cursors = BTreeMap::from([(MIRROR.to_string(), (lsn.0, now))]);
        Mirror { lsn: lsn.0, cursors, ..Mirror::default() }
    }

    /// Does again what happened.
    fn redo(&mut self, op: ChangeOp) {
        match op {
            ChangeOp::Put { bucket, key, meta } => {
                assert_eq!(meta.key, key);
                self.objects(&bucket).insert(key, Facts::of(&meta));
            }
            ChangeOp::Delete { bucket, key } => drop(self.objects(&bucket).remove(&key)),
            ChangeOp::DeletePrefix { bucket, prefix } => {
                self.objects(&bucket).retain(|key, _| !key.starts_with(&prefix));
            }
            ChangeOp::RenamePrefix { bucket, prefix, new_prefix } => {
                let objects = self.objects(&bucket);
                let all = std::mem::take(objects).into_iter();
                let (moved, stay): (Vec<_>, Vec<_>) = all.partition(|(key, _)| key.starts_with(&prefix));
                objects.extend(stay);
                for (key, facts) in moved {
                    let key = format!("{new_prefix}{}", &key[prefix.len()..]);
                    assert!(objects.insert(key.clone(), facts.under(&key)).is_none(), "{key:?} is replaced");
                }
            }
            ChangeOp::ForkBucket { from, bucket } => {
                let objects = self.objects(&from).clone();
                assert!(self.buckets.insert(bucket, objects).is_none());
            }
            ChangeOp::CreateBucket { bucket } => {
                assert!(self.buckets.insert(bucket, BTreeMap::new()).is_none());
            }
            ChangeOp::DeleteBucket { bucket } => assert!(self.buckets.remove(&bucket).is_some()),
            ChangeOp::PutRow { table, key, value } => {
                self.rows.insert((table, key.to_vec()), value.to_vec());
            }
            ChangeOp::DeleteRow { table, key } => drop(self.rows.remove(&(table, key.to_vec()))),
            other => panic!("a change of a kind that the model does not know: {other:?}"),
        }
    }

    fn objects(&mut self, bucket: &str) -> &mut BTreeMap<String, Facts> {
        self.buckets.get_mut(bucket).expect("a bucket is told before its objects")
    }
}

impl Play<'_> {
    /// Plays a call that is about the feed. In worlds of which nobody follows the feed the log need not go back.
    pub(super) fn feed_op(&mut self, op: &Op) -> ControlFlow<()> {
        match op {
            Op::Changes => match self.mirror.take() {
                Some(mirror) => self.mirror = Some(self.catch_up(mirror)),
                None => {
                    assert!(self.store.changes(Lsn(self.model.lsn)).unwrap().next().is_none());
                    let refused = self.store.changes(Lsn(self.model.lsn + 1)).map(|_| ());
                    same(refused, Err("InvalidArgument"));
                }
            },
            Op::Cursor(name, ago, in_transaction) => {
                if let Some(mirror) = self.mirror.take() {
                    self.mirror = Some(self.move_cursor(mirror, NAMES[*name], *ago, *in_transaction));
                }
            }
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    }

    /// Reads what is new in the feed: each commit once, in order; then the mirror holds what the store does.
    fn catch_up(&mut self, mut mirror: Mirror) -> Mirror {
        let mut changes = self.store.changes(Lsn(mirror.lsn)).unwrap();
        for change in changes.by_ref() {
            let change = change.unwrap();
            assert_eq!(change.lsn.0, mirror.lsn + 1);
            assert!(Some(change.time) >= mirror.time && change.time <= moment(self.model.now));
            (mirror.lsn, mirror.time) = (change.lsn.0, Some(change.time));
            self.played += 1;
            change.ops.into_iter().for_each(|op| mirror.redo(op));
        }
        assert_eq!(mirror.lsn, self.model.lsn);
        assert!(!changes.wait(std::time::Duration::ZERO).unwrap());
        assert_eq!(mirror.buckets.keys().cloned().collect::<Vec<_>>(), self.model.bucket_names());
        for (name, objects) in &mirror.buckets {
            let handle = self.model.bucket(name).unwrap();
            let versioned = self.model.keeps_versions(&handle);
            let (lines, _) = self.model.list(&handle, &List::default()).unwrap();
            assert_eq!(objects.len(), lines.len(), "in {name}");
            for ((key, seen), line) in objects.iter().zip(&lines) {
                let Line::Object(at, object) = line else { panic!("a prefix without a delimiter") };
                assert_eq!(key, at, "in {name}");
                // Of one that was written before versions were kept none was told.
                let told = Facts::told(key, object, versioned && seen.says_version());
                assert_eq!(*seen, told, "in {name}");
            }
        }
        assert!(mirror.rows.iter().eq(self.model.rows()), "other rows");
        mirror
    }

    /// Sets a cursor so many commits back, which the mirror's makes sure that the log reaches; or removes it.
    fn move_cursor(
        &mut self,
        mut mirror: Mirror,
        name: &str,
        ago: Option<i64>,
        in_transaction: bool,
    ) -> Mirror {
        let back = |ago: i64| self.model.lsn.saturating_add_signed(-ago).max(mirror.lsn);
        let lsn = ago.map(back);
        let real = match lsn {
            None => self.store.remove_cursor(name),
            Some(lsn) if in_transaction => self.store.write(|tx| tx.set_cursor(name, Lsn(lsn))),
            Some(lsn) => self.store.set_cursor(name, Lsn(lsn)),
        };
        let told: Answer<()> = match lsn {
            _ if name.is_empty() => Err("InvalidArgument"),
            Some(lsn) if lsn > self.model.lsn => Err("InvalidArgument"),
            _ => Ok(()),
        };
        if told.is_ok() && mirror.cursors.get(name).map(|(lsn, _)| *lsn) != lsn {
            self.model.lsn += 1;
            match lsn {
                None => drop(mirror.cursors.remove(name)),
                Some(lsn) => drop(mirror.cursors.insert(name.to_string(), (lsn, self.model.now))),
            }
        }
        same(real, told);
        // The mirror's own goes on with it.
        let moved = mirror.cursors.get_mut(MIRROR).expect("set at the beginning");
        if name == NAMES[0] && moved.0 != mirror.lsn {
            *moved = (mirror.lsn, self.model.now);
            self.store.set_cursor(MIRROR, Lsn(mirror.lsn)).unwrap();
            self.model.lsn += 1;
        }
        let seen: Vec<_> = self.store.cursors().unwrap();
        let seen = seen.into_iter().map(|cursor| (cursor.name, (cursor.lsn, cursor.time)));
        let told = mirror.cursors.iter().map(|(name, (lsn, at))| (name.clone(), (Lsn(*lsn), moment(*at))));
        assert!(seen.eq(told), "other cursors than {:?}", mirror.cursors);
        let told = mirror.cursors.get(name).map(|(lsn, _)| Lsn(*lsn));
        let told = if name.is_empty() { Err("InvalidArgument") } else { Ok(told) };
        same(self.store.cursor(name), told);
        self.played += 2;
        mirror
    }
}
