//! An object that was got and is decrypted while it is read.

use std::io::{self, Read, Seek, SeekFrom, Write};

use md5::{Digest, Md5};

use super::content::{ContentKey, Keystream};
use super::envelope::Envelope;
use crate::{Error, ErrorKind, Object, ObjectMeta, Result};

/// How much is decrypted at once on the way out.
const STEP: usize = 64 << 10;

/// An object whose body is decrypted while it is read: whole with [`bytes`](EncryptedObject::bytes), or streamed through
/// [`Read`] and [`Seek`], both within the range that was asked for.
///
/// An object that was not encrypted is handed out as it is; see [`is_encrypted`](EncryptedObject::is_encrypted).
#[derive(Debug)]
pub struct EncryptedObject {
    object: Object,
    sealed: Option<Sealed>,
    /// Where the next read begins, counted from the start of the range.
    position: u64,
    md5: Option<Check>,
}

#[derive(Debug)]
struct Sealed {
    envelope: Envelope,
    stream: Keystream,
}

/// The MD5 of what was read so far, as long as it was read in order from the beginning to the end.
#[derive(Debug)]
struct Check {
    hasher: Md5,
    read: u64,
    wanted: [u8; 16],
}

impl EncryptedObject {
    pub(super) fn plain(object: Object) -> EncryptedObject {
        EncryptedObject { object, sealed: None, position: 0, md5: None }
    }

    pub(super) fn sealed(object: Object, envelope: Envelope, key: &ContentKey) -> EncryptedObject {
        let wanted = sum_of(&object, &envelope);
        let md5 = wanted.map(|wanted| Check { hasher: Md5::new(), read: 0, wanted });
        let stream = key.stream(object.range().start);
        EncryptedObject { object, sealed: Some(Sealed { envelope, stream }), position: 0, md5 }
    }

    /// What is known of the object. Its size is that of the plain body too; digests and entity tag are those of the
    /// encrypted one.
    pub fn meta(&self) -> &ObjectMeta {
        self.object.meta()
    }

    /// Whether the body was encrypted by a client. If it was not, its bytes are as they lie in the store.
    pub fn is_encrypted(&self) -> bool {
        self.sealed.is_some()
    }

    /// What the metadata says of the encryption.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.sealed.as_ref().map(|sealed| &sealed.envelope)
    }

    /// How many bytes the range that was asked for has; without a range, the size of the body.
    pub fn len(&self) -> u64 {
        self.object.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    /// The bytes of the range that was asked for, all of it whatever was read before.
    ///
    /// # Errors
    /// `Corrupt` if the bytes in the store are not those that were written, or the plain ones have another MD5 than the
    /// metadata says.
    pub fn bytes(self) -> Result<Vec<u8>> {
        let Some(Sealed { envelope, mut stream }) = self.sealed else {
            return self.object.bytes().map(Vec::from);
        };
        let (start, wanted) = (self.object.range().start, sum_of(&self.object, &envelope));
        let key = self.object.meta().key.clone();
        let mut bytes = Vec::from(self.object.bytes()?);
        stream.seek(start);
        stream.apply(&mut bytes);
        if wanted.is_some_and(|wanted| wanted[..] != Md5::digest(&bytes)[..]) {
            return Err(changed(&key));
        }
        Ok(bytes)
    }

    /// Writes the rest of the range to `out` and returns how many bytes that was.
    ///
    /// # Errors
    /// Those of [`bytes`](EncryptedObject::bytes); what was written by then is not to be believed.
    pub fn copy_to(&mut self, out: &mut (impl Write + ?Sized)) -> Result<u64> {
        let mut buf = vec![0; STEP];
        let mut copied = 0;
        loop {
            let read = self.read_some(&mut buf)?;
            if read == 0 {
                return Ok(copied);
            }
            out.write_all(&buf[..read]).map_err(|error| Error::io("writing the body out", error))?;
            copied += read as u64;
        }
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize> {
        let read = self.object.read(buf).map_err(told)?;
        let Some(sealed) = &mut self.sealed else {
            return Ok(read);
        };
        sealed.stream.apply(&mut buf[..read]);
        if let Some(check) = &mut self.md5
            && !buf.is_empty()
        {
            check.hasher.update(&buf[..read]);
            check.read += read as u64;
            if check.read == self.object.len() {
                let wanted = check.wanted;
                let found = self.md5.take().map(|check| check.hasher.finalize());
                if found.is_some_and(|found| found[..] != wanted[..]) {
                    return Err(changed(&self.object.meta().key));
                }
            }
        }
        self.position += read as u64;
        Ok(read)
    }
}

impl Read for EncryptedObject {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(buf)?)
    }
}

impl Seek for EncryptedObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = self.object.seek(to)?;
        if let Some(sealed) = &mut self.sealed
            && target != self.position
        {
            // Nothing can be read beyond the end, and no place there is one of the cipher's.
            let at = self.object.range().start + target.min(self.object.len());
            sealed.stream.seek(at);
            self.position = target;
            // Only what is read in order can be held against a sum of all.
            self.md5 = None;
        }
        Ok(target)
    }
}

/// The MD5 that the body must have, if it is known and the range is all of it.
fn sum_of(object: &Object, envelope: &Envelope) -> Option<[u8; 16]> {
    envelope.unencrypted_md5().filter(|_| object.len() == object.meta().size)
}

/// The error that reading an object has put into one of the standard library.
fn told(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::io("reading the body", error))
}

fn changed(key: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "Corrupt",
        format!(
            "the decrypted body of {key:?} has another MD5 than its metadata says: the body, its key or its metadata \
             was changed, or the master key is another one"
        ),
    )
}
