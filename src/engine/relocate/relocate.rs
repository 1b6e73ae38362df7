//! Relocation: the live rows and bodies of a segment move elsewhere in bounded steps, so that its file can go.
//!
//! Bodies move into cold bulk segments, apart from what is written fresh; rows are said again in the log, at the
//! lsn that they have. A row that changed meanwhile is left alone and looked at again: what replaced it lies elsewhere, but
//! may have the body still that lies here.

use super::batch::Batch;
use super::usage::Relocated;
use crate::engine::state::engine::Engine;
use crate::engine::view::spaces::forward_prefix;
use crate::env::Planted;
use crate::error::{ErrorKind, Result};
use crate::format::commit::Position;
use crate::format::segment_header::SegmentKind;
use crate::segment::{End, Scan, Segment, Spender};

impl Engine {
    /// Closes the bulk segments that wait for more bodies, and goes on in a new log segment, so that all
    /// there is can be relocated.
    pub fn seal_all(&self) -> Result<()> {
        self.refuse_inside_turn()?;
        let mut writer = self.writer.lock();
        self.check_writable()?;
        self.pools.seal_idle();
        let writer = &mut *writer;
        // Where the log of an earlier run ends, nothing is appended any more, but it counts as the end, and so
        // as not sealed, until a segment comes behind it.
        if writer.log.end() == Position::default() {
            return Ok(());
        }
        self.go_on_in_new_log(writer, 0, Some(Spender::Relocation))
    }

    /// Moves at most about `budget` live bytes out of a sealed segment, in commits of their own.
    ///
    /// # Errors
    /// `Corrupt` if something live is left in it that its records do not lead to; the segment is kept then.
    pub fn relocate(&self, progress: &mut Relocated, budget: u64) -> Result<()> {
        self.check_writable()?;
        let (before, mut loan) = (progress.at, None);
        loop {
            match self.relocate_step(progress, budget) {
                Err(error) if error.is_full() && !error.is_fatal() => {
                    // What is spent for this must not be taken back before it is used.
                    loan.get_or_insert_with(|| self.reserve.lend());
                    if !self.spend_for(progress.segment) {
                        return Err(error);
                    }
                    progress.at = before;
                }
                done => return done,
            }
        }
    }

    fn relocate_step(&self, progress: &mut Relocated, budget: u64) -> Result<()> {
        let _turn = self.moving_turn()?;
        let _moving = self.begin_move();
        let Some(segment) = self.tables.current().get(progress.segment).ok().cloned() else {
            progress.done = true;
            return Ok(());
        };
        let begun = progress.bytes;
        let mut scan = Scan::new(&segment, progress.at, None)?.for_keys();
        while !progress.done && progress.bytes - begun < budget {
            let view = self.pin();
            let mut batch = Batch::new(self, &segment);
            if let Some(from) = &progress.search {
                let next = batch.search(&view, from)?;
                let (bytes, missed) = batch.commit()?;
                progress.bytes += bytes;
                if !missed {
                    (progress.searched, progress.search) = (next.is_none(), next);
                }
                // Others may be waiting for their turn.
                return Ok(());
            }
            let ended = batch.gather(&view, &mut scan)?;
            if ended.is_some() {
                batch.consider_forwarded(&view)?;
            }
            let none_left = batch.rows.is_empty();
            let (bytes, missed) = batch.commit()?;
            progress.bytes += bytes;
            if missed {
                // A row that was changed meanwhile may have kept its body, and nothing leads there again but this.
                scan = Scan::new(&segment, progress.at, None)?.for_keys();
                continue;
            }
            // Only now: what was gathered is read again if its commit fails.
            progress.at = scan.position();
            let Some(end) = ended.filter(|_| none_left) else {
                continue;
            };
            let whole = match end {
                End::Continues(_) => true,
                End::Clean => scan.rest_is_blank()?,
                End::Bad(_) => false,
            };
            progress.done = match self.finish_relocation(&segment, whole) {
                // A version before this one let go of what leads to bodies that were renamed while their disk was away.
                // The search would hide that nothing was left to lead there.
                Err(error)
                    if error.kind() == ErrorKind::Corrupt
                        && whole
                        && !progress.searched
                        && !self.planted(Planted::NoForward) =>
                {
                    progress.search = Some(Vec::new());
                    false
                }
                done => done?,
            };
            if progress.done && self.planted(Planted::RemoveBeforeCheckpoint) {
                self.remove_too_early();
            }
        }
        Ok(())
    }

    /// Everything in the segment was read and nothing live found: the ledger must say so too, unless a body
    /// was renamed behind the walk. If it does not, damage has kept something from being found, and what the
    /// index still names must not go.
    fn finish_relocation(&self, segment: &Segment, whole: bool) -> Result<bool> {
        let mut writer = self.writer.lock();
        let mut cursor = writer.view.index.cursor();
        let prefix = forward_prefix(segment.id());
        cursor.seek(&prefix)?;
        if cursor.key().is_some_and(|key| key.starts_with(&prefix)) {
            return Ok(false);
        }
        let live = writer.ledger.live(segment.id());
        // A crash may lose the count of a tombstone that was dropped, and those lie in the log.
        if live > 0 && !(whole && segment.header.kind == SegmentKind::Log) {
            let why = format!("{live} bytes in it are live, but its records do not lead to them");
            return Err(segment.corrupt(0, why));
        }
        drop(cursor);
        writer.ledger.clear(segment.id());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::batch::BATCH_ROWS;
    use super::*;
    use crate::api::Store;
    use crate::engine::proposal::ledger::Tombstone;

    #[test]
    fn bodies_that_nothing_leads_to_any_more_are_searched_for_before_that_is_damage() {
        let settings = crate::engine::state::settings::Settings {
            chunk_size: 4096,
            segment_size: 1 << 20,
            ..Default::default()
        };
        let builder = Store::builder("/s").vfs(Arc::new(crate::env::MemoryVfs::new())).settings(settings);
        let store = builder.maintenance(crate::api::Maintenance::Manual).open().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let long = vec![7; 600_000];
        bucket.put("long", &long).unwrap();
        let engine = store.engine();
        engine.seal_all().unwrap();
        let victim = engine.segment_uses().into_iter().find(|each| each.live > 600_000).unwrap().id;
        bucket.rename("long", "renamed").unwrap();
        // As versions did that asked whether the segment was there.
        let view = engine.pin();
        let mut cursor = view.index.cursor();
        cursor.seek(&forward_prefix(victim)).unwrap();
        let (key, lsn) = (cursor.key().unwrap().to_vec(), cursor.item().unwrap().unwrap().lsn);
        assert!(key.starts_with(&forward_prefix(victim)));
        drop(cursor);
        engine.drop_done(vec![(key, lsn)]).unwrap();
        let mut progress = Relocated::of(victim);
        for _ in 0..20 {
            if !progress.done {
                engine.relocate(&mut progress, 1 << 30).unwrap();
            }
        }
        assert!(progress.done && progress.bytes > 600_000, "{progress:?}");
        engine.checkpoint().unwrap();
        assert!(!engine.segments().contains(victim));
        assert_eq!(bucket.get("renamed").unwrap().bytes().unwrap(), long);
        // What is in the ledger and nowhere else is damage still.
        bucket.put("other", &long).unwrap();
        engine.seal_all().unwrap();
        let victim = engine.segment_uses().into_iter().find(|each| each.live > 600_000).unwrap().id;
        let mut lie = crate::engine::proposal::ledger::LedgerDiff::default();
        let (value, tombstone) = (Tombstone { made: 1, home: victim }.encode(), true);
        lie.count(b"none", tombstone, &value, engine.chunk_log2(), 1).unwrap();
        engine.writer.lock().ledger.apply(lie);
        let mut progress = Relocated::of(victim);
        let told = (0..20).find_map(|_| engine.relocate(&mut progress, 1 << 30).err());
        assert_eq!(told.unwrap().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn relocation_of_many_renamed_bodies_is_done_in_small_commits() {
        let settings = crate::engine::state::settings::Settings {
            chunk_size: 4096,
            segment_size: 1 << 20,
            ..Default::default()
        };
        let vfs = Arc::new(crate::env::MemoryVfs::new());
        let store = Store::builder("/s")
            .vfs(vfs)
            .settings(settings)
            .maintenance(crate::api::Maintenance::Manual)
            .open()
            .unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let count = 4 * BATCH_ROWS;
        store
            .write(|tx| (0..count).try_for_each(|n| tx.put(&bucket, &format!("old/{n}"), vec![7; 300])))
            .unwrap();
        let engine = store.engine();
        engine.seal_all().unwrap();
        let victim = engine.segment_uses().iter().find(|each| each.live > 300 * count as u64).unwrap().id;
        store
            .write(|tx| {
                let names = |n| (format!("old/{n}"), format!("new/{n}"));
                (0..count).map(names).try_for_each(|(old, new)| tx.rename(&bucket, &old, &bucket, &new))
            })
            .unwrap();
        let before = engine.view().lsn;
        let mut progress = Relocated::of(victim);
        while !progress.done {
            engine.relocate(&mut progress, 1).unwrap();
        }
        let mut commits = engine.commits_after(before).unwrap();
        let mut dropped = 0;
        while let Some(commit) = commits.next().unwrap() {
            assert!(commit.changes.len() <= BATCH_ROWS, "{} rows in one commit", commit.changes.len());
            dropped += commit.changes.len();
        }
        assert_eq!(dropped, count);
        assert_eq!(bucket.get("new/5").unwrap().bytes().unwrap(), [7; 300][..]);
    }
}
