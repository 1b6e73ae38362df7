//! Transactions, step by step.

use std::sync::Arc;

use ossicle::{DeleteOptions, Error, Transaction, WriteOptions};

use super::Play;
use super::facts::{Facts, dress, durability, put_options, same};
use super::objects::read_whole;
use crate::history::{Body, RowAt, Step};
use crate::reference::{Answer, Steps, Wants};

impl Play<'_> {
    pub(super) fn transaction(&mut self, steps: &[Step], forgives: bool, fails: bool, synced: bool) {
        let mut told = self.model.begin();
        let mut last = Ok(());
        let options = WriteOptions::new().durability(durability(synced));
        let refusal = self.store.bucket("Ab").unwrap_err();
        let real = self.store.write_with(options, |tx| {
            for step in steps {
                let real = self.step(tx, &mut told, step);
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
        same(real, told);
        self.played += steps.len() as u64;
    }

    /// Makes one step in both transactions and compares what each says; hands on what the store's said.
    pub(super) fn step(&self, tx: &mut Transaction<'_>, told: &mut Steps, step: &Step) -> Result<(), Error> {
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
            Step::Copy(from, to) | Step::Rename(from, to) => {
                let (Some(source), Some(target)) = (self.spot(from), self.spot(to)) else {
                    return Ok(());
                };
                let places = ((&source.1, from.key.as_str()), (&target.1, to.key.as_str()));
                if matches!(step, Step::Copy(..)) {
                    both(tx.copy(&source.0, &from.key, &target.0, &to.key), told.tx_copy(places.0, places.1))
                } else {
                    both(
                        tx.rename(&source.0, &from.key, &target.0, &to.key),
                        told.tx_rename(places.0, places.1),
                    )
                }
            }
            Step::Get(at) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let versioned = told.keeps_versions(&handle);
                let told = told.get(&handle, &at.key);
                match (tx.get(&bucket, &at.key), told) {
                    (Ok(object), Ok(told)) => {
                        assert_eq!(Facts::of(object.meta()), Facts::told(&at.key, &told, versioned));
                        read_whole(object, &told.body, at.key.len());
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::Head(at) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let versioned = told.keeps_versions(&handle);
                match (tx.head(&bucket, &at.key), told.get(&handle, &at.key)) {
                    (Ok(meta), Ok(told)) => {
                        assert_eq!(Facts::of(&meta), Facts::told(&at.key, &told, versioned));
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::PutRow(RowAt { table, key }, len) => {
                let value = Body { len: *len, seed: key.len() as u8 }.bytes();
                both(tx.put_row(table, key, &value), told.put_row(table, key, &value))
            }
            Step::DeleteRow(RowAt { table, key }) => {
                both(tx.delete_row(table, key), told.delete_row(table, key))
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
