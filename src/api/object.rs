//! An object that was read: its metadata, and its bytes.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::model::ObjectMeta;
use crate::ops::object::get::Got;

/// How much is lent at once to a reader.
const STEP: u64 = 1 << 20;

/// How much memory is asked for before any byte has proved to be there: a damaged row may claim any size.
const BELIEVED: usize = 64 << 20;

/// An object, as it was when [`get`](super::Bucket::get) returned it: later writes and deletes do not change it. Every byte is
/// verified before it is returned.
///
/// It can be read whole with [`bytes`](Object::bytes), or streamed through [`Read`] and [`Seek`]; both keep to
/// the range that was asked for.
#[derive(Debug)]
pub struct Object {
    got: Got,
    /// Where the next read begins, counted from the start of the range.
    position: u64,
    lent: Bytes,
}

impl Object {
    pub(crate) fn new(got: Got) -> Object {
        Object { got, position: 0, lent: Bytes::new() }
    }

    /// The metadata of the object.
    pub fn meta(&self) -> &ObjectMeta {
        &self.got.meta
    }

    /// The range of the body that was requested; all of it if none was.
    pub fn range(&self) -> Range<u64> {
        self.got.range.clone()
    }

    /// The number of bytes in the requested range; without a range, the size of the body.
    pub fn len(&self) -> u64 {
        self.got.range.end - self.got.range.start
    }

    /// Whether the requested range is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the requested range, from the memory map without a copy where possible.
    ///
    /// # Errors
    /// `Corrupt` if the bytes on the disk are not those that were written; `EntityTooLarge` if they do not fit into
    /// memory; `InternalError` if the disk cannot be read.
    pub fn bytes(self) -> Result<Bytes> {
        let range = self.got.range.clone();
        let first = self.got.body.read(range.clone())?;
        if first.len() as u64 == self.len() {
            return Ok(first);
        }
        let len = usize::try_from(self.len())
            .map_err(|_| Error::invalid("EntityTooLarge", "the body does not fit into memory; stream it"))?;
        let mut all = BytesMut::with_capacity(len.min(BELIEVED));
        all.extend_from_slice(&first);
        while (all.len() as u64) < self.len() {
            let from = range.start + all.len() as u64;
            all.extend_from_slice(&self.got.body.read(from..range.end.min(from + STEP))?);
        }
        Ok(all.freeze())
    }

    /// Writes the rest of the range to `out` and returns the number of bytes written.
    ///
    /// # Errors
    /// `Corrupt` if the bytes on the disk are not those that were written: nothing of the step in which that is found
    /// was written to `out`. `InternalError` if the disk cannot be read, or `out` cannot be written to; `StorageFull`
    /// if `out` lies on a disk that is full.
    pub fn copy_to(&mut self, out: &mut (impl Write + ?Sized)) -> Result<u64> {
        let mut copied = 0;
        loop {
            self.fill()?;
            if self.lent.is_empty() {
                return Ok(copied);
            }
            out.write_all(&self.lent).map_err(|error| Error::io("writing the body out", error))?;
            copied += self.lent.len() as u64;
            self.position += self.lent.len() as u64;
            self.lent = Bytes::new();
        }
    }

    /// Makes sure that the bytes at the position are lent, unless the range is at its end.
    fn fill(&mut self) -> Result<()> {
        if self.lent.is_empty() && self.position < self.len() {
            let from = self.got.range.start + self.position;
            // Steps end at multiples of a chunk, so that no chunk is verified twice.
            let to = (from + 1).next_multiple_of(STEP).min(self.got.range.end);
            self.lent = self.got.body.read(from..to)?;
        }
        Ok(())
    }
}

impl Read for Object {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let take = buf.len().min(self.lent.len());
        self.lent.copy_to_slice(&mut buf[..take]);
        self.position += take as u64;
        Ok(take)
    }
}

impl Seek for Object {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let target = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if target != self.position {
            self.position = target;
            self.lent = Bytes::new();
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{BodyReader, OwnedBody};
    use crate::error::ErrorKind;
    use crate::format::entry::{Body, Extent};

    #[test]
    fn a_body_that_claims_more_than_there_is_ends_in_corrupt_and_not_in_memory() {
        let store = super::super::handle::Store::in_memory().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        bucket.put("packed", vec![1; 1000]).unwrap();
        let view = store.engine().view();
        let key = crate::catalog::keyspace::keys::object(bucket.reference().id, "packed");
        let first = view.find(&key, |stored| match stored.body {
            Body::Extents(list) => Ok(list.iter().next()),
            _ => Ok(None),
        });
        let first = first.unwrap().flatten().expect("a packed body has an extent");
        let claimed = Extent { len: 48 << 40, ..first };
        let body = OwnedBody::Many(vec![first, claimed].into());
        let meta = bucket.head("packed").unwrap();
        let range = 0..body.len();
        let got = Got { meta, body: BodyReader::new(&view, body).unwrap().into(), range };
        assert_eq!(Object::new(got).bytes().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
