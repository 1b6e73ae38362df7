//! Transactions, step by step.

use std::sync::Arc;

use ossicle::{Bucket, DeleteOptions, Error, Transaction, WriteOptions};

use super::Play;
use super::facts::{
    Facts, Seen, Version, append_options, copy_dressed, copy_options, dress, durability, list, list_options,
    put_options, same,
};
use super::listings::{row_range, rows_of};
use super::objects::read_whole;
use crate::history::{BUCKETS, Body, Extras, Lines, RowAt, Spot, Step, Where};
use crate::reference::{Answer, Handle, Line, List, Steps, Wants};

impl Play<'_> {
    pub(super) fn transaction(&mut self, steps: &[Step], forgives: bool, fails: bool, synced: bool) {
        let mut told = self.model.begin();
        let names = self.model.names();
        let mut last = Ok(());
        let mut made = Vec::new();
        let options = WriteOptions::new().durability(durability(synced));
        let refusal = self.store.bucket("Ab").unwrap_err();
        let real = self.store.write_with(options, |tx| {
            for (at, step) in steps.iter().enumerate() {
                if self.mirror.is_some() && takes_a_name_over(&steps[..at], step) {
                    continue;
                }
                let real = self.step(tx, &mut told, step, &mut made);
                if let Err(error) = real
                    && !forgives
                {
                    last = Err(error.code());
                    return Err(error);
                }
            }
            if fails {
                last = Err(refusal.code());
                return Err(refusal);
            }
            Ok(())
        });
        let told = last.and_then(|()| self.model.commit(told));
        if told.is_err() {
            self.model.forget(names);
        }
        same(real, told);
        for (at, bucket, handle) in made {
            // What was made and not committed, or was removed again, is not there.
            same(bucket.exists("first"), self.model.exists(&handle, "first"));
            if told.is_ok() {
                self.keep(at, Ok(bucket), Ok(handle));
            }
        }
        self.played += steps.len() as u64;
    }

    /// Makes one step in both transactions and compares what each says; hands on what the store's said.
    fn step(
        &self,
        tx: &mut Transaction<'_>,
        told: &mut Steps,
        step: &Step,
        made: &mut Vec<(usize, Bucket, Handle)>,
    ) -> Result<(), Error> {
        let both = |real: Result<(), Error>, told: Answer<()>| {
            let codes = (real.as_ref().err().map(Error::code), told.err());
            assert_eq!(codes.0, codes.1, "{step:?}");
            real
        };
        match step {
            Step::Put(at, body, extras) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let bytes: Arc<[u8]> = body.bytes().into();
                let wants = self.wants(extras, &handle, &at.key);
                let real = tx.put_with(&bucket, &at.key, &bytes[..], put_options(extras, &wants));
                both(real, told.put(&handle, &at.key, &bytes, &dress(extras), &wants).map(|_| ()))
            }
            Step::Delete(at, pick, tag) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let if_match = self.tag(*tag, &handle, &at.key);
                let (which, version) = self.which(*pick, &handle, &at.key);
                let mut options = DeleteOptions::new();
                if let Some(tag) = &if_match {
                    options = options.if_match(tag);
                }
                if let Some(version) = version {
                    options = options.version(version);
                }
                let real = tx.delete_with(&bucket, &at.key, options);
                let told = told.delete(&handle, &at.key, &which, &Wants { if_match, ..Wants::default() });
                both(real, told.map(|_| ()))
            }
            Step::Undelete(at) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                both(tx.undelete(&bucket, &at.key), told.undelete(&handle, &at.key).map(|_| ()))
            }
            Step::RestoreVersion(at, pick) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                match self.which(*pick, &handle, &at.key) {
                    (which, Some(version)) => {
                        let told = told.restore_version(&handle, &at.key, &which);
                        both(tx.restore_version(&bucket, &at.key, &version), told.map(|_| ()))
                    }
                    _ => Ok(()),
                }
            }
            Step::Copy(from, to, extras) | Step::Rename(from, to, extras) => {
                let (Some(source), Some(target)) = (self.spot(from), self.spot(to)) else {
                    return Ok(());
                };
                let places = ((&source.1, from.key.as_str()), (&target.1, to.key.as_str()));
                let wants = self.wants(extras, &target.1, &to.key);
                let options = copy_options(extras, &wants);
                if matches!(step, Step::Copy(..)) {
                    let dress = dress(extras);
                    let options = copy_dressed(options, &dress);
                    let real = tx.copy_with(&source.0, &from.key, &target.0, &to.key, options);
                    both(real, told.tx_copy(places.0, places.1, &dress, &wants))
                } else {
                    let real = tx.rename_with(&source.0, &from.key, &target.0, &to.key, options);
                    both(real, told.tx_rename(places.0, places.1, &wants))
                }
            }
            Step::Get(at, asked) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let (read, options) = self.asked(asked, &handle, &at.key);
                let versioned = told.keeps_versions(&handle);
                let told = told.get(&handle, &at.key, &read);
                match (tx.get_with(&bucket, &at.key, options), told) {
                    (Ok(object), Ok((told, range))) => {
                        assert_eq!(Facts::of(object.meta()), Facts::told(&at.key, &told, versioned));
                        read_whole(object, &told.body[range], at.key.len());
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::Head(at, asked) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let (read, options) = self.asked(asked, &handle, &at.key);
                let versioned = told.keeps_versions(&handle);
                match (tx.head_with(&bucket, &at.key, options), told.head(&handle, &at.key, &read)) {
                    (Ok(meta), Ok(told)) => {
                        assert_eq!(Facts::of(&meta), Facts::told(&at.key, &told, versioned));
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::Exists(at) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                match (tx.exists(&bucket, &at.key), told.exists(&handle, &at.key)) {
                    (Ok(real), Ok(told)) => {
                        assert_eq!(real, told);
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::Append(at, place, body, extras) => self.append_in(tx, told, (at, *place, *body), extras),
            Step::Symlink(at, to, extras) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let wants = self.wants(extras, &handle, &at.key);
                let real = tx.symlink_with(&bucket, &at.key, &to.key, put_options(extras, &wants));
                both(real, told.symlink(&handle, &at.key, &to.key, &dress(extras), &wants).map(|_| ()))
            }
            Step::DeletePrefix(at, prefix) => {
                let Some((bucket, handle)) = self.pair(*at, false) else {
                    return Ok(());
                };
                both(tx.delete_prefix(&bucket, prefix), told.delete_prefix(&handle, prefix).map(|_| ()))
            }
            Step::List(at, lines) => self.list_in(tx, told, *at, lines),
            Step::CreateBucket(at) => {
                let both_made = (tx.create_bucket(BUCKETS[*at]), told.create_bucket(BUCKETS[*at]));
                let (real, handle) = match both_made {
                    (Ok(real), Ok(handle)) => (real, handle),
                    (real, told) => return both(real.map(|_| ()), told.map(|_| ())),
                };
                let body: Arc<[u8]> = Arc::from(*b"the first");
                let put = told.put(&handle, "first", &body, &Default::default(), &Wants::default());
                made.push((*at, real.clone(), handle));
                both(tx.put(&real, "first", &body[..]), put.map(|_| ()))
            }
            Step::CreateBucketIfMissing(at) => {
                let name = BUCKETS[*at];
                let before = self.model.bucket(name).ok();
                match (tx.create_bucket_if_missing(name), told.create_bucket_if_missing(name)) {
                    (Ok(real), Ok(handle)) => {
                        // What was there before is kept track of already.
                        if before.is_none_or(|before| before != handle)
                            && made.iter().all(|(_, _, known)| *known != handle)
                        {
                            made.push((*at, real.clone(), handle.clone()));
                        }
                        let body: Arc<[u8]> = Arc::from(*b"the first");
                        let put = told.put(&handle, "first", &body, &Default::default(), &Wants::default());
                        both(tx.put(&real, "first", &body[..]), put.map(|_| ()))
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::DeleteBucket(at) => both(tx.delete_bucket(BUCKETS[*at]), told.delete_bucket(BUCKETS[*at])),
            Step::PutRow(RowAt { table, key }, len) => {
                let value = Body { len: *len, seed: key.len() as u8 }.bytes();
                both(tx.put_row(table, key, &value), told.put_row(table, key, &value))
            }
            Step::DeleteRow(RowAt { table, key }) => {
                both(tx.delete_row(table, key), told.delete_row(table, key))
            }
            Step::Rows(RowAt { table, key }, end, back) => {
                let real = tx.rows(table, row_range(key, end.as_deref())).map(|rows| rows_of(rows, *back));
                match (real, told.rows_in(table, key, end.as_deref())) {
                    (Ok(real), Ok(told)) => {
                        assert_eq!(real, told);
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::Row(RowAt { table, key }) => match (tx.row(table, key), told.row(table, key)) {
                (Ok(real), Ok(told)) => {
                    assert_eq!(real.map(|row| row.to_vec()), told);
                    Ok(())
                }
                (real, told) => both(real.map(|_| ()), told.map(|_| ())),
            },
        }
    }
}

impl Play<'_> {
    fn append_in(
        &self,
        tx: &mut Transaction<'_>,
        told: &mut Steps,
        (at, place, body): (&Spot, Where, Body),
        extras: &Extras,
    ) -> Result<(), Error> {
        let Some((bucket, handle)) = self.spot(at) else {
            return Ok(());
        };
        let mut at = at.clone();
        if let Some(grows) = at.hits.and_then(|hit| self.model.some_that_grows(&handle, hit)) {
            at.key = grows;
        }
        let told_end = told.append_position(&handle, &at.key);
        let position = match place {
            Where::Start => 0,
            Where::End => told_end.unwrap_or_default(),
            Where::Off(by) => told_end.unwrap_or_default().saturating_add_signed(by),
        };
        let real_end = tx.append_position(&bucket, &at.key);
        assert_eq!(real_end.as_ref().map_err(Error::code), told_end.as_ref().map_err(|code| *code));
        let bytes = body.bytes();
        let options = append_options(extras);
        match (
            tx.append_with(&bucket, &at.key, position, &bytes[..], options),
            told.append(&handle, &at.key, position, &bytes, &dress(extras)),
        ) {
            (Ok(real), Ok(told)) => {
                let version = Version::Seen(real.version.map(|version| version.to_string()));
                assert_eq!(version, Version::Told(told.version));
                assert_eq!((real.next_position, real.crc64), (told.next_position, told.crc64));
                assert_eq!(real.etag.to_string(), told.etag);
                Ok(())
            }
            (real, told) => {
                assert_eq!(real.as_ref().err().map(Error::code), told.err());
                real.map(|_| ())
            }
        }
    }

    fn list_in(
        &self,
        tx: &mut Transaction<'_>,
        told: &mut Steps,
        at: usize,
        lines: &Lines,
    ) -> Result<(), Error> {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return Ok(());
        };
        let versioned = told.keeps_versions(&handle);
        let seen = |(lines, _): (Vec<Line>, bool)| -> Vec<Seen> {
            lines.iter().map(|line| Seen::told(line, versioned)).collect()
        };
        let listed = tx.list(&bucket, list_options(lines));
        let listed = listed.map(|entries| entries.map(|entry| Seen::of(&entry.unwrap())).collect::<Vec<_>>());
        let told_all = told.list(&handle, &list(lines)).map(seen);
        assert_eq!(
            listed.as_ref().map_err(Error::code),
            told_all.as_ref().map_err(|code| *code),
            "{lines:?}"
        );
        let limit = Some(lines.limit.unwrap_or(1000));
        let page = tx.list_page(&bucket, list_options(lines));
        let told_page = told.list(&handle, &List { limit, ..list(lines) });
        if let (Ok(page), Ok((lines, more))) = (&page, &told_page) {
            assert_eq!(page.next.is_some(), *more);
            assert_eq!(page.next.as_deref(), lines.last().filter(|_| *more).map(Line::name));
        }
        let page = page.map(|page| page.entries.iter().map(Seen::of).collect::<Vec<_>>());
        assert_eq!(page.as_ref().map_err(Error::code), told_page.map(seen).as_ref().map_err(|code| *code));
        listed.map(|_| ())
    }
}

/// Whether a step makes a bucket in the place of one that was removed by the same transaction, which the change feed does
/// not tell apart.
fn takes_a_name_over(before: &[Step], step: &Step) -> bool {
    let (Step::CreateBucket(at) | Step::CreateBucketIfMissing(at)) = step else {
        return false;
    };
    before.iter().any(|other| matches!(other, Step::DeleteBucket(gone) if gone == at))
}
