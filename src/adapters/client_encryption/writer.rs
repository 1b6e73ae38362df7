//! Writing an encrypted object piece by piece.

use std::io::{self, Write};

use super::content::Keystream;
use crate::{ObjectWriter, PutOutcome, Result};

/// How much is encrypted at once on the way in.
const STEP: usize = 64 << 10;

/// Writes an encrypted object piece by piece, through [`Write`]. It comes to be with
/// [`finish`](EncryptedWriter::finish); dropped before that, the writer leaves nothing.
#[derive(Debug)]
pub struct EncryptedWriter {
    writer: ObjectWriter,
    stream: Keystream,
    buf: Vec<u8>,
}

impl EncryptedWriter {
    pub(super) fn new(writer: ObjectWriter, stream: Keystream) -> EncryptedWriter {
        EncryptedWriter { writer, stream, buf: Vec::new() }
    }

    /// How many bytes were written so far.
    pub fn written(&self) -> u64 {
        self.writer.written()
    }

    /// Commits the object with all that was written.
    pub fn finish(self) -> Result<PutOutcome> {
        self.writer.finish()
    }
}

impl Write for EncryptedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(STEP);
        self.buf.clear();
        self.buf.extend_from_slice(&bytes[..take]);
        // The place follows from what was taken in, so that a write that failed does not shift those after it.
        self.stream.seek(self.writer.written());
        self.stream.apply(&mut self.buf);
        self.writer.write_all(&self.buf)?;
        Ok(take)
    }

    /// Does nothing: the object is not there before it is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
