//! Envelopes: a body sealed with a key of its own before it is stored, so that any range of it opens alone.
//!
//! An envelope is 24 bytes that lead to its key, then the chunks of the body, each followed by its tag; an empty body is
//! one empty chunk. The root of its key is a customer's key or the key of a bucket, and it is bound to an object by a
//! salt, to a part by a number, and to its bytes by the 24.

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::chunks::{BODY_NONCE_LEN, ChunkSealer, TAG_LEN};
use super::contexts;
use super::nonces::Nonces;
use super::secret::SecretKey;

/// Bytes of body in a chunk.
pub const ENVELOPE_CHUNK: usize = 64 << 10;

/// Bytes before the first chunk.
pub const ENVELOPE_HEAD: usize = BODY_NONCE_LEN;

/// Bytes of a chunk with its tag.
pub const SEALED_CHUNK: usize = ENVELOPE_CHUNK + TAG_LEN;

/// How long the envelope of so many bytes is; `None` for more than there can be.
pub fn enveloped_len(plain: u64) -> Option<u64> {
    let chunks = plain.div_ceil(ENVELOPE_CHUNK as u64).max(1);
    plain.checked_add(ENVELOPE_HEAD as u64)?.checked_add(chunks.checked_mul(TAG_LEN as u64)?)
}

/// The key of an object: of its one envelope, or of those of its parts.
#[derive(PartialEq, Eq)]
pub struct EnvelopeKey(SecretKey);

impl EnvelopeKey {
    /// The key that `root` and the object's salt lead to.
    pub fn new(root: &SecretKey, salt: &[u8; 32]) -> EnvelopeKey {
        EnvelopeKey(root.derive(contexts::ENVELOPE, &[salt]))
    }

    /// What is kept with the object, so that a wrong key is known before anything is opened. It tells nothing of the key.
    pub fn commitment(&self) -> [u8; 32] {
        *self.0.derive(contexts::ENVELOPE_COMMITMENT, &[]).as_bytes()
    }

    /// Whether the object was sealed with this key. Takes the same time for every answer.
    pub fn is_committed_to(&self, kept: &[u8; 32]) -> bool {
        blake3::Hash::from_bytes(self.commitment()) == *kept
    }

    /// Seals and opens the chunks of the envelope with this number and this head.
    pub fn chunks(&self, number: u32, head: &[u8; ENVELOPE_HEAD], nonces: &Arc<Nonces>) -> ChunkSealer {
        let key = self.0.derive(contexts::ENVELOPE_CHUNKS, &[&number.to_le_bytes(), head]);
        ChunkSealer::new(&key, nonces.clone())
    }
}

impl fmt::Debug for EnvelopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvelopeKey(..)")
    }
}

/// Makes an envelope of bytes that come one after another. Memory does not grow with them.
pub struct EnvelopeWriter {
    key: Arc<EnvelopeKey>,
    number: u32,
    nonces: Arc<Nonces>,
    sealer: Option<ChunkSealer>,
    /// The chunk that is being filled; it is sealed when more comes, because the last one is sealed otherwise.
    chunk: Zeroizing<Vec<u8>>,
    index: u64,
}

impl EnvelopeWriter {
    /// The envelope with this number of the object with this key.
    pub fn new(key: Arc<EnvelopeKey>, number: u32, nonces: Arc<Nonces>) -> EnvelopeWriter {
        EnvelopeWriter { key, number, nonces, sealer: None, chunk: Zeroizing::default(), index: 0 }
    }

    /// Takes more bytes, and hands what can be sealed by now to `out`. What `out` does not take is lost: it was sealed,
    /// and nothing is sealed twice. The envelope has a hole then, which nobody opens; it is to be given up.
    pub fn write<E>(
        &mut self,
        mut bytes: &[u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.chunk.len() == ENVELOPE_CHUNK {
                self.seal(false, out)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(ENVELOPE_CHUNK - self.chunk.len()));
            if self.chunk.capacity() < self.chunk.len() + now.len() {
                // Grown by hand: a buffer that is given up must be wiped.
                let room = (self.chunk.len() + now.len()).next_power_of_two().min(ENVELOPE_CHUNK);
                let mut larger = Zeroizing::new(Vec::with_capacity(room));
                larger.extend_from_slice(&self.chunk);
                self.chunk = larger;
            }
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Seals what is left, as the last chunk.
    pub fn finish<E>(mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.seal(true, out)
    }

    fn seal<E>(&mut self, last: bool, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let sealer = match &self.sealer {
            Some(sealer) => sealer,
            None => {
                let head = self.nonces.draw(&[0; 16], &self.number.to_le_bytes(), &self.chunk);
                out(&head)?;
                self.sealer.insert(self.key.chunks(self.number, &head, &self.nonces))
            }
        };
        // Once more with the same nonce would give the plaintext again. So the chunk and its number are used up before
        // anything can fail.
        let mut chunk = std::mem::take(&mut self.chunk);
        let index = self.index;
        self.index += 1;
        let tag = sealer.seal(index, last, &mut chunk);
        out(&chunk)?;
        out(&tag)?;
        chunk.zeroize();
        self.chunk = chunk;
        Ok(())
    }
}

impl fmt::Debug for EnvelopeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::forged::Forged;
    use super::super::nonces::tests::Stuck;
    use super::*;

    fn nonces() -> Arc<Nonces> {
        Arc::new(Nonces::new(&SecretKey::new([1; 32]), b"", Arc::new(Stuck)))
    }

    fn key(byte: u8) -> Arc<EnvelopeKey> {
        Arc::new(EnvelopeKey::new(&SecretKey::new([byte; 32]), &[3; 32]))
    }

    fn sealed(number: u32, plain: &[u8], step: usize) -> Vec<u8> {
        let mut writer = EnvelopeWriter::new(key(2), number, nonces());
        let mut all = Vec::new();
        let mut out = |bytes: &[u8]| {
            all.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        plain.chunks(step).for_each(|bytes| writer.write(bytes, &mut out).unwrap());
        writer.finish(&mut out).unwrap();
        all
    }

    fn opened(key: &EnvelopeKey, number: u32, sealed: &[u8]) -> Result<Vec<u8>, Forged> {
        let (head, chunks) = sealed.split_first_chunk().ok_or(Forged)?;
        // Even an empty body has a chunk.
        chunks.first().ok_or(Forged)?;
        let opener = key.chunks(number, head, &nonces());
        let count = chunks.len().div_ceil(SEALED_CHUNK);
        let mut plain = Vec::new();
        for (index, chunk) in chunks.chunks(SEALED_CHUNK).enumerate() {
            let (bytes, tag) = chunk.split_last_chunk().ok_or(Forged)?;
            let mut bytes = bytes.to_vec();
            opener.open(index as u64, index + 1 == count, &mut bytes, tag)?;
            plain.extend(bytes);
        }
        Ok(plain)
    }

    #[test]
    fn an_envelope_opens_whole_and_is_as_long_as_is_said_however_it_came() {
        let body: Vec<u8> = (0..3 * ENVELOPE_CHUNK + 5).map(|at| at as u8 ^ (at >> 8) as u8).collect();
        for len in [0, 1, ENVELOPE_CHUNK - 1, ENVELOPE_CHUNK, ENVELOPE_CHUNK + 1, body.len()] {
            for step in [777, ENVELOPE_CHUNK, 1 << 20] {
                let envelope = sealed(0, &body[..len], step);
                assert_eq!(Some(envelope.len() as u64), enveloped_len(len as u64));
                assert_eq!(opened(&key(2), 0, &envelope).unwrap(), body[..len]);
            }
        }
        assert_eq!(enveloped_len(u64::MAX), None);
    }

    #[test]
    fn nothing_opens_that_was_changed_moved_or_cut() {
        let body = vec![7; 2 * ENVELOPE_CHUNK + 10];
        let envelope = sealed(1, &body, 1 << 20);
        let refused = |bad: &[u8], why: &str| assert_eq!(opened(&key(2), 1, bad), Err(Forged), "{why}");
        for at in (0..envelope.len()).filter(|at| at % 997 == 0 || *at < 60 || *at + 60 > envelope.len()) {
            let mut bad = envelope.clone();
            bad[at] ^= 0x10;
            refused(&bad, "a flipped bit");
        }
        for cut in [0, 10, 24, 24 + SEALED_CHUNK, 24 + 2 * SEALED_CHUNK, envelope.len() - 1] {
            refused(&envelope[..cut], "cut off");
        }
        let (head, chunks) = envelope.split_at(ENVELOPE_HEAD);
        let (first, second) = (&chunks[..SEALED_CHUNK], &chunks[SEALED_CHUNK..2 * SEALED_CHUNK]);
        let rest = &chunks[2 * SEALED_CHUNK..];
        refused(&[head, second, first, rest].concat(), "chunks in another order");
        refused(&[head, first, first, rest].concat(), "a chunk twice");
        refused(&[head, first, rest].concat(), "a chunk left out");
        refused(&[&envelope[..], rest].concat(), "a chunk more");
        assert_eq!(opened(&key(2), 2, &envelope), Err(Forged), "another part");
        assert_eq!(opened(&key(9), 1, &envelope), Err(Forged), "another key");
    }

    /// By what docs/FORMAT.md says, and nothing else of this crate.
    #[test]
    fn an_envelope_opens_by_the_format_alone() {
        use aes_gcm::aead::inout::InOutBuf;
        use aes_gcm::aes::cipher::KeyInit;
        use aes_gcm::{AeadInOut, Aes256Gcm};

        fn derive(context: &str, key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
            let mut hasher = blake3::Hasher::new_derive_key(&format!("ossicle 2026-11 v1 {context}"));
            hasher.update(key);
            for part in parts {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
            *hasher.finalize().as_bytes()
        }
        let body: Vec<u8> = (0..65_536 + 10).map(|at| at as u8).collect();
        let envelope = sealed(7, &body, 1000);
        let object = derive("key of an enveloped object", &[2; 32], &[&[3; 32]]);
        assert_eq!(derive("enveloped object commitment", &object, &[]), key(2).commitment());
        let (head, chunks) = envelope.split_at(24);
        let its = derive("chunks of an envelope", &object, &[&7u32.to_le_bytes(), head]);
        let cipher = Aes256Gcm::new((&its).into());
        let mut plain = Vec::new();
        for (index, last, chunk) in [(0, 0, &chunks[..65_552]), (1, 1, &chunks[65_552..])] {
            let (bytes, tag) = chunk.split_at(chunk.len() - 16);
            let (mut bytes, tag) = (bytes.to_vec(), <[u8; 16]>::try_from(tag).unwrap());
            let nonce = [index, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
            let place = InOutBuf::from(&mut bytes[..]);
            cipher.decrypt_inout_detached(&nonce.into(), &[], place, (&tag).into()).unwrap();
            plain.extend(bytes);
        }
        assert_eq!(plain, body);
    }

    /// Remembers which nonces were used with which keys.
    #[derive(Debug, Default)]
    struct Recorder(std::sync::Mutex<Vec<([u8; 16], [u8; 24])>>);

    impl super::super::nonces::Chance for Recorder {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }

        fn used(&self, key: [u8; 16], nonce: [u8; 24]) {
            self.0.lock().unwrap().push((key, nonce));
        }
    }

    #[test]
    fn a_chunk_that_could_not_be_put_is_never_sealed_again() {
        let body: Vec<u8> = (0..3 * ENVELOPE_CHUNK + 5).map(|at| at as u8 ^ (at >> 8) as u8).collect();
        for fails_at in 0..9 {
            let recorder = Arc::new(Recorder::default());
            let nonces = Arc::new(Nonces::new(&SecretKey::new([1; 32]), b"", recorder.clone()));
            let mut writer = EnvelopeWriter::new(key(2), 0, nonces);
            let (mut calls, mut told) = (0, Vec::new());
            let mut out = |bytes: &[u8]| {
                told.push(bytes.to_vec());
                calls += 1;
                if calls - 1 == fails_at { Err(()) } else { Ok(()) }
            };
            for bytes in body.chunks(ENVELOPE_CHUNK) {
                // Whoever does not look at what became of it, and goes on.
                let _ = writer.write(bytes, &mut out).or_else(|()| writer.write(&[], &mut out));
            }
            let _ = writer.finish(&mut out);
            let plain = |bytes: &[u8]| body.windows(64).any(|window| bytes.starts_with(window));
            assert!(!told.iter().any(|bytes| bytes.len() >= 64 && plain(&bytes[..64])), "{fails_at}");
            let mut used = recorder.0.lock().unwrap().clone();
            let count = used.len();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), count, "{fails_at}: a nonce was used twice with a key");
        }
    }

    #[test]
    fn a_key_is_known_by_its_commitment() {
        let kept = key(2).commitment();
        assert!(key(2).is_committed_to(&kept) && !key(3).is_committed_to(&kept));
        let other_salt = EnvelopeKey::new(&SecretKey::new([2; 32]), &[4; 32]);
        assert!(!other_salt.is_committed_to(&kept));
        assert_eq!(format!("{:?}", key(2)), "EnvelopeKey(..)");
    }
}
