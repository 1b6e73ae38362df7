//! Calls on one object.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Body as StoreBody, DeleteOptions, DeleteOutcome, Durability, Error, GetOptions, Object, PutOptions,
    PutOutcome, WriteOptions,
};

use super::facts::{Commits, Facts, Version, code, copy_dressed, copy_options, dress, put_options, same};
use super::{HELD, Play};
use crate::history::{Asked, Body, Extras, How, Pick, Spot, Tag};
use crate::reference::{Answer, Dress, Handle, Made, Outcome, Range, Read, Wants, Which};

/// What a delete came to.
#[derive(Debug, PartialEq)]
pub(super) struct Ended {
    version: Version,
    marker: bool,
}

impl Ended {
    pub(super) fn of(outcome: DeleteOutcome) -> Ended {
        let version = Version::Seen(outcome.version.as_ref().map(ToString::to_string));
        Ended { version, marker: outcome.marker }
    }

    pub(super) fn told(outcome: Outcome) -> Ended {
        let version = match outcome.version {
            None => Version::Told(None),
            Some(Which::Named(name)) => Version::Told(Some(name)),
            // It is said again as it was asked for.
            _ => Version::Seen(Some(UNKNOWN.to_string())),
        };
        Ended { version, marker: outcome.marker }
    }
}

/// The name of a version that no key has.
pub(super) const UNKNOWN: &str = "FFFFFFFFFFFFFFFF00000000";

/// Compares what a put, a copy or a rename came to.
#[track_caller]
pub(super) fn same_put(real: Result<PutOutcome, Error>, told: Answer<Made>) {
    let real = real.map(|outcome| {
        let version = Version::Seen(outcome.version.as_ref().map(ToString::to_string));
        (outcome.etag.to_string(), version, Commits(vec![outcome.lsn.0]))
    });
    same(real, told.map(|made| (made.etag, Version::Told(made.version), Commits(made.lsns))));
}

impl Play<'_> {
    pub(super) fn delete(&mut self, at: &Spot, pick: Pick, tag: Tag) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let if_match = self.tag(tag, &handle, &at.key);
        let (which, version) = self.which(pick, &handle, &at.key);
        let mut options = DeleteOptions::new().durability(Durability::Buffered);
        if let Some(tag) = &if_match {
            options = options.if_match(tag);
        }
        if let Some(version) = version {
            options = options.version(version);
        }
        let real = bucket.delete_with(&at.key, options);
        let told = self.model.delete(&handle, &at.key, &which, &Wants { if_match, ..Wants::default() });
        same(real.map(Ended::of), told.map(Ended::told));
    }

    pub(super) fn head(&mut self, at: &Spot, asked: &Asked) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let (read, options) = self.asked(asked, &handle, &at.key);
        let versioned = self.model.keeps_versions(&handle);
        let told = self.model.head(&handle, &at.key, &read);
        same(
            bucket.head_with(&at.key, options).map(|meta| Facts::of(&meta)),
            told.map(|object| Facts::told(&at.key, &object, versioned)),
        );
    }

    pub(super) fn put(&mut self, at: &Spot, body: Body, how: How, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let bytes: Arc<[u8]> = body.bytes().into();
        let wants = self.wants(extras, &handle, &at.key);
        let options = put_options(extras, &wants);
        let dress = dress(extras);
        let real = match how {
            How::Borrowed => bucket.put_with(&at.key, &bytes[..], options),
            How::Owned => bucket.put_with(&at.key, bytes.to_vec(), options),
            How::Reader => bucket.put_with(&at.key, StoreBody::reader(Halting::new(&bytes)), options),
            How::Writer(step) => bucket.writer(&at.key, options).and_then(|mut writer| {
                for piece in bytes.chunks(step) {
                    writer.write_all(piece).unwrap();
                }
                assert_eq!(writer.written(), bytes.len() as u64);
                writer.finish()
            }),
        };
        let told = self.model.put(&handle, &at.key, &bytes, &dress, &wants);
        same_put(real, told);
    }

    pub(super) fn put_many(&mut self, at: usize, from: u32, count: u32) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let mut steps = self.model.begin();
        let real = self.store.write_with(WriteOptions::new().durability(Durability::Buffered), |tx| {
            for number in from..from + count {
                let key = format!("many/{number:04}");
                let body: Arc<[u8]> = Body { len: number as usize * 3, seed: number as u8 }.bytes().into();
                let pairs = vec![("filler".to_string(), "f".repeat(number as usize % 300))];
                let dress = Dress { metadata: Some(pairs.clone()), ..Dress::default() };
                let mut options = PutOptions::new();
                for (name, value) in pairs {
                    options = options.metadata(name, value);
                }
                let told = steps.put(&handle, &key, &body, &dress, &Wants::default());
                same(tx.put_with(&bucket, &key, &body[..], options), told.map(|_| ()));
            }
            Ok(())
        });
        same(real, self.model.commit(steps));
        self.played += u64::from(count);
    }

    pub(super) fn delete_many(&mut self, at: usize, keys: &[String]) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let real = bucket.delete_many(keys).map(|answers| {
            let codes = answers.into_iter().map(|(key, answer)| (key, code(answer.map(Ended::of))));
            codes.collect::<Vec<_>>()
        });
        let told = self.model.delete_many(&handle, keys).map(|answers| {
            let answers = answers.into_iter().map(|answer| answer.map(Ended::told).map_err(str::to_string));
            keys.iter().cloned().zip(answers).collect::<Vec<_>>()
        });
        same(real, told);
        self.played += keys.len() as u64;
    }

    pub(super) fn copy(&mut self, (from, pick): (&Spot, Pick), to: &Spot, tag: Tag, extras: &Extras) {
        let (Some((source, source_handle)), Some((target, handle))) = (self.spot(from), self.spot(to)) else {
            return;
        };
        let source_tag = self.tag(tag, &source_handle, &from.key);
        let wants = self.wants(extras, &handle, &to.key);
        let mut options = copy_options(extras, &wants);
        if let Some(tag) = &source_tag {
            options = options.source_if_match(tag);
        }
        let (which, version) = self.which(pick, &source_handle, &from.key);
        if let Some(version) = version {
            options = options.source_version(version);
        }
        let read = Read { which, if_match: source_tag, ..Read::default() };
        let dress = dress(extras);
        let real = target.copy_from(&source, &from.key, &to.key, copy_dressed(options, &dress));
        let told = self.model.copy((&source_handle, &from.key), (&handle, &to.key), &read, &dress, &wants);
        same_put(real, told);
    }

    pub(super) fn rename(&mut self, at: &Spot, new_key: &str, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let wants = self.wants(extras, &handle, new_key);
        let real = bucket.rename_with(&at.key, new_key, copy_options(extras, &wants));
        let told = self.model.rename(&handle, &at.key, new_key, &wants);
        same_put(real, told);
    }

    pub(super) fn asked(&self, asked: &Asked, handle: &Handle, key: &str) -> (Read, GetOptions) {
        let found = self.model.head(handle, key, &Read::default());
        let written = found.map_or(self.model.now, |object| object.modified) / 1000;
        let moment = |after: Option<i64>| after.map(|seconds| written.checked_add_signed(seconds).unwrap());
        let (which, version) = self.which(asked.pick, handle, key);
        let read = Read {
            which,
            range: asked.range,
            if_match: self.read_tag(asked.if_match, handle, key),
            if_none_match: self.read_tag(asked.if_none_match, handle, key),
            if_modified_since: moment(asked.if_modified_since),
            if_unmodified_since: moment(asked.if_unmodified_since),
        };
        let mut options = GetOptions::new();
        if let Some(version) = version {
            options = options.version(version);
        }
        options = match read.range {
            None => options,
            Some(Range::Full) => options.range(..),
            Some(Range::Span(start, end)) => options.range(start..end),
            Some(Range::Inclusive(start, last)) => options.range(start..=last),
            Some(Range::From(start)) => options.range(start..),
            Some(Range::To(end)) => options.range(..end),
            Some(Range::Last(count)) => options.last(count),
        };
        if let Some(tag) = &read.if_match {
            options = options.if_match(tag);
        }
        if let Some(tag) = &read.if_none_match {
            options = options.if_none_match(tag);
        }
        let time = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        if let Some(seconds) = read.if_modified_since {
            options = options.if_modified_since(time(seconds));
        }
        if let Some(seconds) = read.if_unmodified_since {
            options = options.if_unmodified_since(time(seconds));
        }
        (read, options)
    }

    pub(super) fn get(&mut self, at: &Spot, asked: &Asked) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let (read, options) = self.asked(asked, &handle, &at.key);
        let versioned = self.model.keeps_versions(&handle);
        let real = bucket.get_with(&at.key, options);
        match (real, self.model.get(&handle, &at.key, &read)) {
            (Ok(object), Ok((told, range))) => {
                assert_eq!(Facts::of(object.meta()), Facts::told(&at.key, &told, versioned));
                read_whole(object, &told.body[range], self.played as usize);
            }
            (real, told) => same(
                real.map(|object| Facts::of(object.meta())),
                told.map(|(told, _)| Facts::told(&at.key, &told, versioned)),
            ),
        }
    }

    pub(super) fn hold(&mut self, at: &Spot) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        if let (Ok(object), Ok(told)) =
            (bucket.get(&at.key), self.model.head(&handle, &at.key, &Read::default()))
            && self.held.len() < HELD
        {
            self.held.push((object, told.body.clone()));
        }
    }
}

/// Reads an object in one of several ways and compares every byte.
pub(super) fn read_whole(mut object: Object, body: &[u8], way: usize) {
    assert_eq!(object.len(), body.len() as u64);
    match way % 4 {
        0 => assert!(object.bytes().unwrap() == body),
        1 => {
            let mut read = Vec::new();
            object.read_to_end(&mut read).unwrap();
            assert!(read == body);
        }
        2 => {
            let half = body.len() / 2;
            assert_eq!(object.seek(SeekFrom::End(-(half as i64))).unwrap(), (body.len() - half) as u64);
            let mut read = vec![0; half / 2];
            object.read_exact(&mut read).unwrap();
            assert_eq!(object.copy_to(&mut read).unwrap(), (half - half / 2) as u64);
            assert!(read == body[body.len() - half..]);
            object.rewind().unwrap();
            assert_eq!(object.copy_to(&mut std::io::sink()).unwrap(), body.len() as u64);
        }
        _ => {
            object.seek(SeekFrom::Start(body.len() as u64 + 1)).unwrap();
            assert_eq!(object.read(&mut [0]).unwrap(), 0);
            object.seek(SeekFrom::Start(0)).unwrap();
            let mut read = Vec::new();
            assert_eq!(object.copy_to(&mut read).unwrap(), body.len() as u64);
            assert!(read == body);
        }
    }
}

/// A reader that gives little at a time and is interrupted now and then.
struct Halting<'a> {
    rest: &'a [u8],
    calls: usize,
}

impl<'a> Halting<'a> {
    fn new(rest: &'a [u8]) -> Halting<'a> {
        Halting { rest, calls: 0 }
    }
}

impl std::io::Read for Halting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.calls += 1;
        if self.calls % 3 == 1 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let most = (self.rest.len() / 2 + 1).min(self.calls * 1000);
        let most = most.min(buf.len());
        self.rest.read(&mut buf[..most])
    }
}
