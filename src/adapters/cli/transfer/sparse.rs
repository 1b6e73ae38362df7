//! Files with holes: what is zero and whole blocks long takes no disk when it is written out.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// The blocks that a file may leave out; smaller than those of no file system that people have.
const BLOCK: usize = 4096;

/// Writes a file from its beginning, leaving out blocks that are all zeros. The file must be new: what is left out is then
/// read as zeros. Call [`end`](Sparse::end) behind the last byte, which gives the file its length.
#[derive(Debug)]
pub struct Sparse<'a> {
    file: &'a mut File,
    /// How many bytes the file has by now.
    at: u64,
    /// How many of them, at the end, are not written as yet because they are zeros.
    hole: u64,
}

impl<'a> Sparse<'a> {
    /// Begins at the beginning.
    pub fn new(file: &'a mut File) -> Sparse<'a> {
        Sparse { file, at: 0, hole: 0 }
    }

    /// Gives the file its length.
    pub fn end(self) -> io::Result<()> {
        if self.hole > 0 { self.file.set_len(self.at) } else { Ok(()) }
    }

    fn write_data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.hole > 0 {
            self.file.seek(SeekFrom::Start(self.at))?;
            self.hole = 0;
        }
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

impl Write for Sparse<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Up to the end of the block that is begun, then whole blocks.
            let to_end = BLOCK - (self.at % BLOCK as u64) as usize;
            let is_hole = |bytes: &[u8]| bytes.len() == BLOCK && is_zero(bytes);
            let len = rest.len().min(to_end);
            if len < BLOCK || is_hole(&rest[..len]) {
                if len == BLOCK {
                    (self.at, self.hole) = (self.at + len as u64, self.hole + len as u64);
                } else {
                    self.write_data(&rest[..len])?;
                }
                rest = &rest[len..];
                continue;
            }
            // As many blocks with something in them as there are in a row, in one call.
            let blocks = rest.chunks_exact(BLOCK).take_while(|block| !is_hole(block)).count();
            self.write_data(&rest[..blocks * BLOCK])?;
            rest = &rest[blocks * BLOCK..];
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn whatever_the_pieces_the_bytes_are_the_same() {
        let mut body = vec![0; 70_000];
        for at in [0, 1, 4095, 9000, 30_000, 61_440] {
            body[at] = 7;
        }
        for len in [0, 1, 4096, 8192, 20_000, 40_960, 65_536, 70_000] {
            for piece in [1, 100, 4095, 4096, 4097, 10_000, 70_000] {
                let mut file = tempfile::tempfile().unwrap();
                let mut sparse = Sparse::new(&mut file);
                for bytes in body[..len].chunks(piece) {
                    sparse.write_all(bytes).unwrap();
                }
                sparse.end().unwrap();
                let mut back = Vec::new();
                file.rewind().unwrap();
                file.read_to_end(&mut back).unwrap();
                assert!(back == body[..len], "{len} in pieces of {piece}");
            }
        }
    }
}
