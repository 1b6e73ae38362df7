//! Uploads in parts.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use ossicle::{Error, GetOptions, ListOptions, Part, Upload};

use super::facts::{same, upload_options};
use super::objects::same_put;
use super::{HELD, Play};
use crate::history::{Completing, Extras, Op, Spot};
use crate::reference::{Range, Read, UploadAt, etag};

/// An upload of the store and the same of the reference.
#[derive(Debug)]
pub(super) struct Pair {
    /// None while the store is closed.
    real: Option<Upload>,
    id: String,
    /// Which of the buckets.
    bucket: usize,
    at: UploadAt,
}

impl Pair {
    /// Lets go of the store.
    pub(super) fn let_go(&mut self) {
        self.real = None;
    }
}

impl Play<'_> {
    pub(super) fn upload_op(&mut self, op: &Op) -> ControlFlow<()> {
        match op {
            Op::Upload(at, extras) => self.begin_upload(at, extras),
            Op::PutPart(at, number, body) => {
                let body: Arc<[u8]> = body.bytes().into();
                self.with_upload(*at, |play, upload, at| {
                    let real = upload.put_part(*number, &body[..]).map(|part| part.etag.to_string());
                    same(real, play.model.put_part(at, *number, body.clone()));
                });
            }
            Op::CopyPart(at, number, from, range) => self.copy_part(*at, *number, from, *range),
            Op::Parts(at) => self.with_upload(*at, |play, upload, at| {
                let millis =
                    |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
                let real = upload.parts().map(|parts| {
                    let facts = |part: Part| {
                        (part.number, part.size, part.etag.to_string(), millis(part.modified) as u64)
                    };
                    parts.into_iter().map(facts).collect::<Vec<_>>()
                });
                let told = play.model.upload(at).map(|upload| {
                    let parts = upload.parts.iter();
                    parts
                        .map(|(number, (body, at))| (*number, body.len() as u64, upload.tag(body), *at))
                        .collect()
                });
                same(real, told);
            }),
            Op::Complete(at, which) => self.complete(*at, *which),
            Op::Abort(at) => self.with_upload(*at, |play, upload, at| {
                same(upload.abort(), play.model.abort(at));
            }),
            Op::Uploads(at, prefix) => self.list_uploads(*at, prefix),
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    }

    fn begin_upload(&mut self, at: &Spot, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let dress = super::facts::dress(extras);
        let real = bucket.upload(&at.key, upload_options(extras));
        let told = self.model.begin_upload(&handle, &at.key, &dress, extras.if_absent);
        if let (Ok(real), Ok(told)) = (&real, &told) {
            let (id, it) = (real.id().to_string(), told.clone());
            self.uploads.insert(0, Pair { real: Some(real.clone()), id, bucket: at.bucket, at: it });
            self.uploads.truncate(HELD);
        }
        same(real.map(|upload| upload.key().to_string()), told.map(|told| told.key));
    }

    /// Does something to an upload, if there is one in this place.
    fn with_upload(&mut self, at: usize, work: impl FnOnce(&mut Self, &Upload, &UploadAt)) {
        let found = self.uploads.get(at).and_then(|pair| Some((pair.real.clone()?, pair.at.clone())));
        match found {
            Some((upload, at)) => work(self, &upload, &at),
            None => self.missed.set(self.missed.get() + 1),
        }
    }

    fn copy_part(&mut self, at: usize, number: u32, from: &Spot, range: Option<Range>) {
        let Some((source, handle)) = self.spot(from) else {
            return;
        };
        self.with_upload(at, |play, upload, at| {
            let options = match range {
                Some(Range::Span(start, end)) => GetOptions::new().range(start..end),
                _ => GetOptions::new(),
            };
            let read = Read { range, ..Read::default() };
            let told = play.model.get(&handle, &from.key, &read);
            if play.model.upload(at).is_err() && told.is_err() {
                // Which of the two is said is nobody's business.
                assert!(upload.put_part_copy(number, &source, &from.key, options).is_err());
                return;
            }
            let real = upload.put_part_copy(number, &source, &from.key, options);
            let told = match told {
                Err(code) if (1..=10_000).contains(&number) => Err(code),
                Err(_) => Err("InvalidArgument"),
                Ok((object, range)) => play.model.put_part(at, number, object.body[range].into()),
            };
            same(real.map(|part| part.etag.to_string()), told);
        });
    }

    fn complete(&mut self, at: usize, which: Completing) {
        self.with_upload(at, |play, upload, at| {
            let mut parts: Vec<(u32, String)> = play.model.upload(at).map_or(Vec::new(), |upload| {
                upload.parts.iter().map(|(number, (body, _))| (*number, upload.tag(body))).collect()
            });
            match which {
                Completing::All | Completing::Listed => {}
                Completing::EverySecond => parts = parts.into_iter().step_by(2).collect(),
                Completing::Reversed => parts.reverse(),
                Completing::Missing => parts.push((9_999, etag(b""))),
                Completing::Wrong => parts.iter_mut().for_each(|(_, tag)| *tag = etag(b"wrong")),
                Completing::Nothing => parts.clear(),
            }
            let list = (!matches!(which, Completing::All)).then_some(&parts[..]);
            let real = match list {
                None => upload.complete_all(),
                Some(parts) => {
                    let parts: Vec<Part> =
                        parts.iter().map(|(number, tag)| Part::new(*number, tag.as_str())).collect();
                    upload.complete(&parts)
                }
            };
            let made_up = real.as_ref().ok().map(|outcome| outcome.etag.to_string());
            if let Some(tag) = &made_up {
                let count = tag.split_at_checked(32).and_then(|(_, rest)| rest.strip_prefix('-'));
                assert_eq!(count, Some(parts.len().to_string().as_str()), "{tag}");
            }
            same_put(real, play.model.complete(at, list, made_up));
        });
    }

    fn list_uploads(&mut self, at: usize, prefix: &str) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let real = bucket.uploads(ListOptions::new().prefix(prefix)).and_then(|uploads| {
            let facts = |entry: ossicle::UploadEntry| {
                let begun = entry.initiated.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
                (entry.key, begun as u64, u64::from(entry.parts), entry.bytes)
            };
            uploads.map(|entry| entry.map(facts)).collect::<Result<Vec<_>, Error>>()
        });
        let told = self.model.uploads(&handle, prefix).map(|uploads| {
            let uploads = uploads.into_iter();
            let facts = uploads.map(|(key, it)| (key.clone(), it.begun, it.parts.len() as u64, it.bytes()));
            facts.collect()
        });
        same(real, told);
    }

    /// Goes on with the uploads that there were before the store was closed.
    pub(super) fn resume(&mut self, uploads: Vec<Pair>) {
        for mut pair in uploads {
            let Some((bucket, _)) = self.handles.get(&pair.bucket).and_then(|pairs| pairs.last()) else {
                continue;
            };
            let real = bucket.resume_upload(&pair.at.key, &pair.id);
            // The bucket may be another one of that name.
            let told = match self.model.upload(&pair.at) {
                Ok(_) => Ok(()),
                Err(_) => Err("NoSuchUpload"),
            };
            pair.real = real.as_ref().ok().cloned();
            same(real.map(|_| ()), told);
            if pair.real.is_some() {
                self.uploads.push(pair);
            }
        }
    }
}
