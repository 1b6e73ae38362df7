//! The pipeline of long coded bodies: a second thread compresses and seals what comes next while the caller's writes.

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::error::Result;
use crate::segment::coding::ChunkCoder;
use crate::segment::sealed::{BodySealer, store_chunks};

/// How many bytes of a body are handled at once and make one write; a chunk that is longer goes alone.
pub const GATHER: usize = 256 << 10;

/// So many bytes are worth a thread.
const APART: usize = 512 << 10;

/// How many coded pieces may wait for being written.
const WAITING: usize = 2;

/// Some chunks of a body as they are to be stored.
#[derive(Debug, Default)]
pub struct Piece {
    /// Their bytes, one chunk behind another.
    pub bytes: Vec<u8>,
    /// Their words in the table.
    pub words: Vec<u32>,
    /// Their sums.
    pub sums: Vec<u32>,
    /// How many bytes of the body they are.
    pub plain: u64,
}

/// What chunks go through, and how long they are.
#[derive(Debug)]
pub struct Through<'a> {
    /// Compresses them.
    pub coder: Option<&'a mut ChunkCoder>,
    /// Seals them.
    pub sealer: Option<&'a mut BodySealer>,
    /// log2 of the chunk size.
    pub log2: u8,
}

impl Through<'_> {
    /// Codes `bytes`, with which the body may end, and gives them to `put` piece by piece in their order. `room` keeps
    /// buffers from call to call: fresh memory costs nearly as much as what is done in it.
    pub fn each(
        mut self,
        (bytes, ends): (&[u8], bool),
        room: &mut Vec<Piece>,
        mut put: impl FnMut(&Piece) -> Result<()>,
    ) -> Result<()> {
        let step = GATHER.max(1 << self.log2);
        if bytes.len() < APART || bytes.len() <= step {
            return self.in_turn((bytes, ends), step, room, put);
        }
        let (give, coded) = bounded(WAITING);
        let (give_back, used) = bounded(WAITING + 2);
        for piece in room.drain(..) {
            let _ = give_back.try_send(piece);
        }
        let left = used.clone();
        let mut begun = false;
        let done = std::thread::scope(|scope| {
            let through = &mut self;
            let coding = move || through.apart((bytes, ends), step, &give, &used);
            // Without another thread (there may be too many already) all goes in turn.
            begun =
                std::thread::Builder::new().name("ossicle-code".into()).spawn_scoped(scope, coding).is_ok();
            for piece in coded {
                let piece: Piece = piece?;
                put(&piece)?;
                let _ = give_back.try_send(piece);
            }
            Ok(())
        });
        room.extend(left.try_iter());
        if begun { done } else { self.in_turn((bytes, ends), step, room, put) }
    }

    fn in_turn(
        &mut self,
        (bytes, ends): (&[u8], bool),
        step: usize,
        room: &mut Vec<Piece>,
        mut put: impl FnMut(&Piece) -> Result<()>,
    ) -> Result<()> {
        let mut piece = room.pop().unwrap_or_default();
        let pieces = bytes.len().div_ceil(step);
        let done = bytes.chunks(step).zip(1..).try_for_each(|(bytes, number)| {
            self.code((bytes, ends && number == pieces), &mut piece)?;
            put(&piece)
        });
        room.push(piece);
        done
    }

    /// Codes piece after piece until nobody takes them any more.
    fn apart(
        &mut self,
        (bytes, ends): (&[u8], bool),
        step: usize,
        give: &Sender<Result<Piece>>,
        used: &Receiver<Piece>,
    ) {
        let pieces = bytes.len().div_ceil(step);
        for (bytes, number) in bytes.chunks(step).zip(1..) {
            let mut piece = used.try_recv().unwrap_or_default();
            let coded = self.code((bytes, ends && number == pieces), &mut piece);
            let failed = coded.is_err();
            if give.send(coded.map(|()| piece)).is_err() || failed {
                return;
            }
        }
    }

    fn code(&mut self, (bytes, ends): (&[u8], bool), piece: &mut Piece) -> Result<()> {
        piece.bytes.clear();
        piece.sums.clear();
        let (coder, sealer) = (self.coder.as_deref_mut(), self.sealer.as_deref_mut());
        piece.words =
            store_chunks(coder, sealer, (bytes, ends), self.log2, &mut piece.sums, &mut piece.bytes)?;
        piece.plain = bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn through(coder: &mut ChunkCoder) -> Through<'_> {
        Through { coder: Some(coder), sealer: None, log2: 16 }
    }

    #[test]
    fn long_bodies_are_coded_as_short_pieces_are() {
        let body: Vec<u8> = (0..3 << 20).map(|at: u32| (at / 7000) as u8).collect();
        let mut coder = ChunkCoder::new(1).unwrap();
        let mut gather = |steps: usize| {
            let mut all = Piece::default();
            for bytes in body.chunks(steps) {
                let put = |piece: &Piece| {
                    all.bytes.extend_from_slice(&piece.bytes);
                    all.words.extend_from_slice(&piece.words);
                    all.sums.extend_from_slice(&piece.sums);
                    all.plain += piece.plain;
                    Ok(())
                };
                through(&mut coder).each((bytes, false), &mut Vec::new(), put).unwrap();
            }
            assert_eq!(all.plain, body.len() as u64);
            (all.bytes, all.words, all.sums)
        };
        assert_eq!(gather(3 << 20), gather(64 << 10));
    }

    #[test]
    fn a_write_that_fails_ends_the_coding_and_is_told() {
        let mut coder = ChunkCoder::new(1).unwrap();
        for fails_at in [0, 1, 7] {
            let mut puts = 0;
            let done = through(&mut coder).each((&vec![1; 8 << 20], false), &mut Vec::new(), |_| {
                puts += 1;
                if puts > fails_at { Err(Error::invalid("Full", "no room")) } else { Ok(()) }
            });
            assert_eq!((done.unwrap_err().code(), puts), ("Full", fails_at + 1));
        }
    }
}
