//! Objects that grow, those who follow them, and links.

use std::time::Duration;

use ossicle::Error;

use super::Play;
use super::facts::{Version, append_options, dress, put_options, same};
use super::objects::same_put;
use crate::history::{Body, Extras, Spot, Where};
use crate::reference::Handle;

impl Play<'_> {
    fn place(&self, place: Where, handle: &Handle, key: &str) -> u64 {
        let end = self.model.append_position(handle, key).unwrap_or_default();
        match place {
            Where::Start => 0,
            Where::End => end,
            Where::Off(by) => end.saturating_add_signed(by),
        }
    }

    pub(super) fn append(&mut self, at: &Spot, place: Where, body: Body, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let mut at = at.clone();
        if let Some(grows) = at.hits.and_then(|hit| self.model.some_that_grows(&handle, hit)) {
            at.key = grows;
        }
        let position = self.place(place, &handle, &at.key);
        let bytes = body.bytes();
        let real = bucket.append_with(&at.key, position, &bytes[..], append_options(extras));
        let told = self.model.append(&handle, &at.key, position, &bytes, &dress(extras));
        // An object that a fork shares is given bytes of its own first, which is a commit too.
        let lsn = self.store.stats().lsn.0;
        assert!((self.model.lsn..=self.model.lsn + 1).contains(&lsn), "{lsn}, not {}", self.model.lsn);
        self.model.lsn = lsn;
        if let (Ok(real), Ok(told)) = (&real, &told) {
            assert!(real.lsn.0 <= lsn && (real.lsn.0 == lsn || !told.is_change), "{real:?}");
        }
        let real = real.map(|outcome| {
            let version = Version::Seen(outcome.version.map(|version| version.to_string()));
            (outcome.next_position, outcome.crc64, outcome.etag.to_string(), version)
        });
        same(
            real,
            told.map(|grown| (grown.next_position, grown.crc64, grown.etag, Version::Told(grown.version))),
        );
        same(bucket.append_position(&at.key), self.model.append_position(&handle, &at.key));
        self.played += 1;
    }

    pub(super) fn follow(&mut self, at: &Spot, place: Where) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let position = self.place(place, &handle, &at.key);
        let real = bucket.follow(&at.key, position).and_then(|mut following| {
            let mut read = Vec::new();
            while let Some(bytes) = following.next(Duration::ZERO)? {
                assert!(!bytes.is_empty());
                read.extend_from_slice(&bytes);
                assert_eq!(following.position(), position + read.len() as u64);
            }
            Ok::<_, Error>(read)
        });
        same(real, self.model.grown_behind(&handle, &at.key, position));
    }

    pub(super) fn symlink(&mut self, at: &Spot, to: &Spot, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let wants = self.wants(extras, &handle, &at.key);
        let real = bucket.symlink_with(&at.key, &to.key, put_options(extras, &wants));
        same_put(real, self.model.symlink(&handle, &at.key, &to.key, &dress(extras), &wants));
    }
}
