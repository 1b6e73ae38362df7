//! Uploads in parts: begun, filled in any order, completed or aborted by OSS's rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::{Digests, ObjectKind};

use super::{
    Answer, Attributes, BAD_ARGUMENT, Bucket, Dress, Handle, Made, Object, Reference, Wants, check_key,
    crc64, etag_by,
};

/// The least that a part has which is not the last of its object.
const LEAST: usize = 100 << 10;

const NO_UPLOAD: &str = "NoSuchUpload";

/// An upload in progress.
#[derive(Clone, Debug)]
pub struct Upload {
    dressed: Attributes,
    /// What is taken of its parts.
    pub digests: Digests,
    if_absent: bool,
    pub begun: u64,
    /// By number: the bytes, and when they were put.
    pub parts: BTreeMap<u32, (Arc<[u8]>, u64)>,
}

impl Upload {
    /// The entity tag of a part.
    pub fn tag(&self, body: &[u8]) -> String {
        etag_by(self.digests, body)
    }

    pub fn bytes(&self) -> u64 {
        self.parts.values().map(|(body, _)| body.len() as u64).sum()
    }
}

/// Where an upload is: its bucket, its key, and the commit that began it.
#[derive(Clone, Debug)]
pub struct UploadAt {
    pub bucket: Handle,
    pub key: String,
    pub begun_by: u64,
}

impl Reference {
    pub fn begin_upload(
        &mut self,
        bucket: &Handle,
        key: &str,
        dress: &Dress,
        if_absent: bool,
    ) -> Answer<UploadAt> {
        check_key(key)?;
        let checked = dress.check()?;
        let wants = Wants { if_absent, ..Wants::default() };
        wants.check(self.check(bucket)?.current(key).map(|object| &**object))?;
        self.lsn += 1;
        let (begun_by, begun) = (self.lsn, self.now);
        let dressed = checked.begin(self.class_of(bucket));
        let upload = Upload { dressed, digests: dress.digests, if_absent, begun, parts: BTreeMap::new() };
        self.held_mut(bucket.id).uploads.insert((key.to_string(), begun_by), upload);
        Ok(UploadAt { bucket: bucket.clone(), key: key.to_string(), begun_by })
    }

    /// An upload, if it is still in progress.
    pub fn upload(&self, at: &UploadAt) -> Answer<&Upload> {
        let bucket = self.check(&at.bucket)?;
        bucket.uploads.get(&(at.key.clone(), at.begun_by)).ok_or(NO_UPLOAD)
    }

    pub fn put_part(&mut self, at: &UploadAt, number: u32, body: Arc<[u8]>) -> Answer<String> {
        if !(1..=10_000).contains(&number) {
            return Err(BAD_ARGUMENT);
        }
        let mut upload = self.upload(at)?.clone();
        let tag = etag_by(upload.digests, &body);
        upload.parts.insert(number, (body, self.now));
        self.change(at, |bucket, place| drop(bucket.uploads.insert(place, upload)))?;
        Ok(tag)
    }

    /// Answers as a put; the store makes the entity tag up.
    pub fn complete(
        &mut self,
        at: &UploadAt,
        parts: Option<&[(u32, String)]>,
        made_up: Option<String>,
    ) -> Answer<Made> {
        let upload = self.upload(at)?.clone();
        let all: Vec<_> =
            upload.parts.iter().map(|(number, (body, _))| (*number, upload.tag(body))).collect();
        let parts = parts.unwrap_or(&all);
        if parts.is_empty() {
            return Err(BAD_ARGUMENT);
        }
        if parts.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err("InvalidPartOrder");
        }
        if parts.iter().any(|part| !all.contains(part)) {
            return Err("InvalidPart");
        }
        let bodies: Vec<_> = parts.iter().map(|(number, _)| &upload.parts[number].0).collect();
        if bodies[..bodies.len() - 1].iter().any(|body| body.len() < LEAST) {
            return Err("EntityTooSmall");
        }
        let wants = Wants { if_absent: upload.if_absent, ..Wants::default() };
        wants.check(self.check(&at.bucket)?.current(&at.key).map(|object| &**object))?;
        let lsn = self.lsn + 1;
        let body: Arc<[u8]> = bodies.iter().flat_map(|body| body.iter().copied()).collect();
        let mut object = Object {
            marker: false,
            kind: ObjectKind::Multipart,
            etag: made_up.unwrap_or_default(),
            dressed: upload.dressed.clone(),
            parts: parts.len() as u32,
            ..Object::marker(self.now, lsn)
        };
        object.digests.crc64 = (upload.digests == Digests::Oss).then(|| crc64(&body));
        object.body = body;
        let etag = object.etag.clone();
        let (chain, version) = self.check(&at.bucket)?.pushed(&at.key, object, self.now, &self.names)?;
        self.change(at, |bucket, place| {
            bucket.uploads.remove(&place);
            bucket.set(&at.key, chain);
        })?;
        Ok(Made { etag, version, lsns: vec![lsn] })
    }

    pub fn abort(&mut self, at: &UploadAt) -> Answer<()> {
        self.upload(at)?;
        self.held_mut(at.bucket.id).uploads.remove(&(at.key.clone(), at.begun_by));
        self.lsn += 1;
        Ok(())
    }

    /// One commit that may add to what a bucket holds.
    fn change(&mut self, at: &UploadAt, work: impl FnOnce(&mut Bucket, (String, u64))) -> Answer<()> {
        let before = self.held[&at.bucket.id].clone();
        work(self.held_mut(at.bucket.id), (at.key.clone(), at.begun_by));
        if let Err(code) = self.held[&at.bucket.id].check_quota() {
            self.held.insert(at.bucket.id, before);
            return Err(code);
        }
        self.lsn += 1;
        Ok(())
    }

    /// The uploads in progress under a prefix, by key and then as they were begun.
    pub fn uploads(&self, bucket: &Handle, prefix: &str) -> Answer<Vec<(&String, &Upload)>> {
        if prefix.len() > 1023 {
            return Err(BAD_ARGUMENT);
        }
        let all = self.check(bucket)?.uploads.iter();
        Ok(all.filter(|((key, _), _)| key.starts_with(prefix)).map(|((key, _), it)| (key, it)).collect())
    }
}
