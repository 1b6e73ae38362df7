//! Bodies on their way in: where the bytes come from, and where they are put while they arrive.

use std::io::Read;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::crypto::{EnvelopeKey, EnvelopeWriter};
use crate::engine::NewBody;
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{Digests, Hasher, ObjectDigests};
use crate::segment::{BodyWriter, Placed};

/// How much is read at once from a reader, to begin with: most bodies are not longer.
const READ_STEP: usize = 256 * 1024;

/// How much of a body in memory is given on at once.
const WRITE_STEP: usize = 8 << 20;

/// From this length on it pays to hash a body on a second thread: starting one takes about as long as hashing
/// a tenth of this.
const HASH_APART: usize = 1 << 20;

/// The bytes of an object to be: anything that converts, or [`Body::reader`].
pub struct Body<'a>(pub(crate) Source<'a>);

pub(crate) enum Source<'a> {
    Borrowed(&'a [u8]),
    Owned(Bytes),
    Reader(Box<dyn Read + 'a>),
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Source::Borrowed(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Source::Owned(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Source::Reader(_) => f.write_str("Body(reader)"),
        }
    }
}

impl<'a> Body<'a> {
    /// All that a reader gives, however much that is. Memory does not grow with it.
    pub fn reader(reader: impl Read + 'a) -> Body<'a> {
        Body(Source::Reader(Box::new(reader)))
    }

    /// The bytes, if they lie in memory and need not be read first.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Source::Borrowed(bytes) => Some(bytes),
            Source::Owned(bytes) => Some(bytes),
            Source::Reader(_) => None,
        }
    }

    /// The bytes as a reader, for whoever changes them on their way in.
    pub fn into_reader(self) -> Box<dyn Read + 'a> {
        match self.0 {
            Source::Borrowed(bytes) => Box::new(bytes),
            Source::Owned(bytes) => Box::new(bytes.reader()),
            Source::Reader(reader) => reader,
        }
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Body<'a> {
        Body(Source::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(bytes: &'a [u8; N]) -> Body<'a> {
        Body(Source::Borrowed(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Body<'_> {
    fn from(bytes: [u8; N]) -> Self {
        Body(Source::Owned(Bytes::copy_from_slice(&bytes)))
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Body<'a> {
        Body(Source::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Body<'_> {
    fn from(text: String) -> Self {
        Body(Source::Owned(text.into()))
    }
}

impl<'a> From<&'a String> for Body<'a> {
    fn from(text: &'a String) -> Body<'a> {
        Body(Source::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Body(Source::Owned(bytes.into()))
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(bytes: &'a Vec<u8>) -> Body<'a> {
        Body(Source::Borrowed(bytes))
    }
}

impl From<Bytes> for Body<'_> {
    fn from(bytes: Bytes) -> Self {
        Body(Source::Owned(bytes))
    }
}

impl<'a> From<&'a Bytes> for Body<'a> {
    fn from(bytes: &'a Bytes) -> Body<'a> {
        Body(Source::Borrowed(bytes))
    }
}

// The caller opened this file; Ossicle only reads from it.
#[allow(clippy::disallowed_types)]
impl From<std::fs::File> for Body<'_> {
    fn from(file: std::fs::File) -> Self {
        Body::reader(file)
    }
}

/// A body that is ready for its commit.
#[derive(Debug)]
pub struct Prepared {
    /// The body as the engine takes it.
    pub body: NewBody,
    /// How many bytes.
    pub size: u64,
    /// Digests of them.
    pub digests: ObjectDigests,
    /// Keeps a streamed body from being taken for garbage.
    pub placed: Option<Placed>,
}

impl Prepared {
    /// Bytes that wait in memory for the commit.
    pub fn memory(&self) -> usize {
        match &self.body {
            NewBody::Packed(bytes, _) | NewBody::Inline(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// Whom a body is for, and where it goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The index key that it is for.
    pub owner: Vec<u8>,
    /// The tier that it is streamed to if it is long.
    pub tier: u8,
    /// The most bytes that are written beside the commit and not streamed.
    pub packed_max: usize,
    /// The key and the number of the envelope that it is put into.
    pub envelope: Option<(Arc<EnvelopeKey>, u32)>,
}

/// Takes a body in. `owner` is the index key that it is for; bodies longer than `packed_max` are streamed to
/// the disk.
pub fn prepare(
    engine: &Engine,
    owner: &[u8],
    body: Body<'_>,
    packed_max: usize,
    digests: Digests,
) -> Result<Prepared> {
    let to = Destination { owner: owner.to_vec(), tier: 0, packed_max, envelope: None };
    prepare_at_most(engine, &to, body, digests, u64::MAX)
}

/// The same for a body that may have `most` bytes: one that has more is `EntityTooLarge` as soon as that is seen.
pub fn prepare_at_most(
    engine: &Engine,
    to: &Destination,
    body: Body<'_>,
    digests: Digests,
    most: u64,
) -> Result<Prepared> {
    let packed_max = to.packed_max;
    match &body.0 {
        Source::Borrowed(bytes) => check_len(bytes.len() as u64, most)?,
        Source::Owned(bytes) => check_len(bytes.len() as u64, most)?,
        Source::Reader(_) => {}
    }
    match body.0 {
        Source::Borrowed(bytes) if to.envelope.is_some() => take(engine, to, bytes, digests),
        Source::Owned(bytes) if to.envelope.is_some() => take(engine, to, &bytes, digests),
        Source::Borrowed(bytes) if bytes.len() <= packed_max => {
            let known = digest(digests, bytes);
            Ok(pack(engine, Bytes::copy_from_slice(bytes), known, known.blake3))
        }
        Source::Owned(bytes) if bytes.len() <= packed_max => {
            let known = digest(digests, &bytes);
            Ok(pack(engine, bytes, known, known.blake3))
        }
        Source::Borrowed(bytes) => stream(engine, to, bytes, digests),
        Source::Owned(bytes) => stream(engine, to, &bytes, digests),
        Source::Reader(mut reader) => {
            let mut incoming = Incoming::new(engine, to.clone(), digests);
            let mut buffer = vec![0; READ_STEP];
            loop {
                let read = fill(&mut reader, &mut buffer)?;
                if read == 0 {
                    return incoming.finish(engine);
                }
                check_len(incoming.len() + read as u64, most)?;
                incoming.write(engine, &buffer[..read])?;
                if read == buffer.len() {
                    // A body so long is worth what `beside` costs.
                    buffer.resize(HASH_APART, 0);
                }
            }
        }
    }
}

/// Takes a body in that is in memory, as if it came piece by piece.
fn take(engine: &Engine, to: &Destination, bytes: &[u8], digests: Digests) -> Result<Prepared> {
    let mut incoming = Incoming::new(engine, to.clone(), digests);
    bytes.chunks(WRITE_STEP).try_for_each(|step| incoming.write(engine, step))?;
    incoming.finish(engine)
}

/// Reads until the buffer is full or the reader has no more; says how much it was.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("reading the body that was given", error)),
        }
    }
    Ok(filled)
}

/// `EntityTooLarge` for more than `most` bytes.
pub fn check_len(len: u64, most: u64) -> Result<()> {
    if len <= most {
        return Ok(());
    }
    Err(Error::invalid(
        "EntityTooLarge",
        format!("at most {most} bytes may come at once here, and there are more"),
    ))
}

fn digest(digests: Digests, bytes: &[u8]) -> ObjectDigests {
    if digests == Digests::Fast {
        return ObjectDigests { blake3: Some(*blake3::hash(bytes).as_bytes()), ..ObjectDigests::default() };
    }
    let mut hasher = Hasher::new(digests);
    hasher.update(bytes);
    hasher.finish()
}

/// `blake3` is that of the bytes as they are stored, if it is known; the digests are those of what came.
fn pack(engine: &Engine, bytes: Bytes, digests: ObjectDigests, blake3: Option<[u8; 32]>) -> Prepared {
    let size = bytes.len() as u64;
    let body = if bytes.is_empty() {
        NewBody::None
    } else if bytes.len() <= engine.inline_max() {
        NewBody::Inline(bytes)
    } else {
        NewBody::hashed(bytes, engine.chunk_log2(), blake3)
    };
    Prepared { body, size, digests, placed: None }
}

/// Streams a body that is already in memory. A long one is hashed on a second thread while this one writes.
fn stream(engine: &Engine, to: &Destination, bytes: &[u8], digests: Digests) -> Result<Prepared> {
    let mut writer = engine.body_writer(to.owner.clone(), to.tier)?;
    let mut hasher = Hasher::new(digests);
    beside(&mut hasher, bytes, || bytes.chunks(WRITE_STEP).try_for_each(|step| writer.write(step)))?;
    Ok(placed(writer.finish()?, hasher.finish()))
}

/// Hashes `bytes` while `write` writes them: on a second thread, if they are many and there is one to be had.
fn beside(hasher: &mut Hasher, bytes: &[u8], write: impl FnOnce() -> Result<()>) -> Result<()> {
    if bytes.len() < HASH_APART {
        hasher.update(bytes);
        return write();
    }
    let mut hashed = false;
    let written = std::thread::scope(|scope| {
        let hashing = || hasher.update(bytes);
        hashed = std::thread::Builder::new().name("ossicle-hash".into()).spawn_scoped(scope, hashing).is_ok();
        write()
    });
    if !hashed {
        hasher.update(bytes);
    }
    written
}

fn placed(placed: Placed, digests: ObjectDigests) -> Prepared {
    let body = NewBody::Extents(vec![placed.extent]);
    Prepared { body, size: placed.extent.len, digests, placed: Some(placed) }
}

/// A body that arrives piece by piece: kept in memory while it is short, streamed to the disk when it is not.
#[derive(Debug)]
pub struct Incoming {
    stored: Storing,
    hasher: Box<Hasher>,
    envelope: Option<Box<EnvelopeWriter>>,
    len: u64,
    /// Whether a write began and did not end well: some of what came is not stored.
    failed: bool,
}

/// What is stored of such a body.
#[derive(Debug)]
struct Storing {
    to: Destination,
    short: Vec<u8>,
    long: Option<BodyWriter>,
}

impl Storing {
    fn write(&mut self, engine: &Engine, bytes: &[u8]) -> Result<()> {
        if self.long.is_none() && self.short.len() + bytes.len() <= self.to.packed_max {
            self.short.extend_from_slice(bytes);
            return Ok(());
        }
        let long = match &mut self.long {
            Some(long) => long,
            none => {
                let mut writer = engine.body_writer(self.to.owner.clone(), self.to.tier)?;
                writer.write(&std::mem::take(&mut self.short))?;
                none.insert(writer)
            }
        };
        long.write(bytes)
    }
}

impl Incoming {
    /// A body that goes there.
    pub fn new(engine: &Engine, to: Destination, digests: Digests) -> Incoming {
        let envelope = to.envelope.as_ref().map(|(key, number)| {
            Box::new(EnvelopeWriter::new(key.clone(), *number, engine.vault().nonces().clone()))
        });
        let stored = Storing { to, short: Vec::new(), long: None };
        Incoming { stored, hasher: Box::new(Hasher::new(digests)), envelope, len: 0, failed: false }
    }

    /// Bytes so far, without those of a write that failed.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Takes more bytes. After an error it takes none any more: nobody knows which of them are stored.
    pub fn write(&mut self, engine: &Engine, bytes: &[u8]) -> Result<()> {
        self.check_whole()?;
        self.failed = true;
        let Incoming { stored, hasher, envelope, .. } = self;
        beside(hasher, bytes, || match envelope {
            Some(envelope) => envelope.write(bytes, &mut |sealed| stored.write(engine, sealed)),
            None => stored.write(engine, bytes),
        })?;
        self.len += bytes.len() as u64;
        self.failed = false;
        Ok(())
    }

    /// `IncompleteBody` if a write has failed.
    fn check_whole(&self) -> Result<()> {
        if !self.failed {
            return Ok(());
        }
        Err(Error::invalid(
            "IncompleteBody",
            "an earlier write of this body failed, and some of its bytes are lost; drop this writer and begin the object \
             anew",
        ))
    }

    /// Ends the body. Its size and digests are those of what came, in whatever form it is stored. `IncompleteBody` if a
    /// write has failed.
    pub fn finish(mut self, engine: &Engine) -> Result<Prepared> {
        self.check_whole()?;
        let digests = self.hasher.finish();
        if let Some(envelope) = self.envelope {
            envelope.finish(&mut |sealed| self.stored.write(engine, sealed))?;
        }
        let prepared = match self.stored.long {
            None => pack(engine, self.stored.short.into(), digests, None),
            Some(long) => placed(long.finish()?, digests),
        };
        Ok(Prepared { size: self.len, ..prepared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives zeros without end, and counts how many were taken.
    struct Endless(u64);

    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            buf.fill(0);
            self.0 += buf.len() as u64;
            Ok(buf.len())
        }
    }

    #[test]
    fn a_body_that_is_too_long_is_refused_before_it_has_come_to_its_end() {
        let store = crate::api::Store::in_memory().unwrap();
        let engine = store.engine();
        let prepare = |body: Body<'_>, most| {
            let to = Destination { owner: b"owner".to_vec(), tier: 0, packed_max: 1000, envelope: None };
            prepare_at_most(engine, &to, body, Digests::Fast, most).map(|prepared| prepared.size)
        };
        let mut endless = Endless(0);
        assert_eq!(prepare(Body::reader(&mut endless), 3 << 20).unwrap_err().code(), "EntityTooLarge");
        assert!(endless.0 <= (3 << 20) + HASH_APART as u64);
        for len in [0, 10, 5000] {
            let bytes = vec![7; len as usize];
            assert_eq!(prepare(Body::from(&bytes), len).unwrap(), len);
            assert_eq!(prepare(Body::from(bytes.clone()), len).unwrap(), len);
            assert_eq!(prepare(Body::reader(&bytes[..]), len).unwrap(), len);
            if len > 0 {
                assert_eq!(prepare(Body::from(&bytes), len - 1).unwrap_err().code(), "EntityTooLarge");
                assert_eq!(prepare(Body::reader(&bytes[..]), len - 1).unwrap_err().code(), "EntityTooLarge");
            }
        }
    }
}
