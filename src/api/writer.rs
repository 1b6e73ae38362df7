//! Writing an object piece by piece.

use std::fmt;
use std::io::{self, Write};

use crate::error::Result;
use crate::ops::object::writing::Writing;
use crate::write::outcome::PutOutcome;

/// Writes an object piece by piece, through [`Write`]. Memory does not grow with the body. The object exists once
/// [`finish`](ObjectWriter::finish) returns; a writer that is dropped before that leaves nothing.
///
/// After a write that failed some of the bytes are missing, so every later write and `finish` fail with `IncompleteBody`, even
/// when the cause is over. Write the object again with another writer.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("films")?;
/// use std::io::Write;
/// let mut writer = bucket.writer("long", ossicle::PutOptions::new())?;
/// for _ in 0..1000 {
///     writer.write_all(b"frame after frame ")?;
/// }
/// let outcome = writer.finish()?;
/// assert_eq!(bucket.head("long")?.size, 18_000);
/// # let _ = outcome;
/// # Ok(())
/// # }
/// ```
pub struct ObjectWriter(Writing);

impl fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectWriter").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

impl ObjectWriter {
    pub(crate) fn new(writing: Writing) -> ObjectWriter {
        ObjectWriter(writing)
    }

    /// The number of bytes written so far, without those of a write that failed.
    pub fn written(&self) -> u64 {
        self.0.len()
    }

    /// Commits the object. When this returns, it exists and is as durable as the options say.
    ///
    /// # Errors
    /// `IncompleteBody` if a write has failed; `FileAlreadyExists` if `if_absent` was asked for and there is an
    /// object; `PreconditionFailed` if the entity tag is not as `if_match` or `if_none_match` wants it;
    /// `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget) leaves no room; `FileImmutable` if
    /// a protected object would be lost; in a bucket that keeps versions it stays as an older version; `NoSuchBucket`
    /// if the bucket was removed meanwhile. Also [those of writing](crate::Store#errors-of-writing). The object is
    /// not there then, and the writer is gone.
    pub fn finish(self) -> Result<PutOutcome> {
        self.0.finish()
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }

    /// Does nothing: the object does not exist before it is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
