//! Sealing a body chunk by chunk, so that any chunk opens alone and none can be moved, repeated or left out.
//!
//! Each body has a key of its own. The nonce of a chunk is its index and whether it is the last one, so a body that was cut
//! short, or lengthened, has no sound last chunk.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::KeyInit;
use aes_gcm::{AeadInOut, Aes256Gcm};

use super::forged::Forged;
use super::nonces::Nonces;
use super::secret::SecretKey;
use super::xaes::NONCE_LEN;

/// Bytes that stand with a body and lead to its key.
pub const BODY_NONCE_LEN: usize = NONCE_LEN;

/// By how much a sealed chunk is longer.
pub const TAG_LEN: usize = 16;

/// Seals the chunks of one body and opens them.
pub struct ChunkSealer {
    gcm: Aes256Gcm,
    mark: [u8; 16],
    nonces: Arc<Nonces>,
}

impl ChunkSealer {
    pub(super) fn new(key: &SecretKey, nonces: Arc<Nonces>) -> ChunkSealer {
        ChunkSealer { gcm: Aes256Gcm::new(key.as_bytes().into()), mark: key.mark(), nonces }
    }

    /// Encrypts chunk `index` in place and answers its tag. Each chunk is sealed once.
    pub fn seal(&self, index: u64, last: bool, chunk: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = nonce(index, last);
        let mut told = [0; NONCE_LEN];
        told[..12].copy_from_slice(&nonce);
        self.nonces.tell(self.mark, told);
        let sealed = self.gcm.encrypt_inout_detached(&nonce.into(), &[], InOutBuf::from(chunk));
        sealed.expect("no chunk is as long as the cipher's limit of 64 GiB").into()
    }

    /// Decrypts chunk `index` in place. If the tag does not verify, nothing of the plaintext was made.
    pub fn open(&self, index: u64, last: bool, chunk: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), Forged> {
        self.gcm
            .decrypt_inout_detached(&nonce(index, last).into(), &[], InOutBuf::from(chunk), tag.into())
            .map_err(|_| Forged)
    }
}

fn nonce(index: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&index.to_le_bytes());
    nonce[11] = u8::from(last);
    nonce
}

impl fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSealer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::nonces::tests::Stuck;
    use super::*;

    #[test]
    fn chunks_open_in_their_place_only() {
        let nonces = Arc::new(Nonces::new(&SecretKey::new([1; 32]), b"", Arc::new(Stuck)));
        let sealer = ChunkSealer::new(&SecretKey::new([2; 32]), nonces);
        let mut chunk = *b"a chunk of a body";
        let tag = sealer.seal(3, false, &mut chunk);
        for (index, last) in [(2, false), (4, false), (3, true), (3 + (1 << 32), false)] {
            assert_eq!(sealer.open(index, last, &mut chunk.clone(), &tag), Err(Forged));
        }
        assert_eq!(sealer.open(3, false, &mut chunk[..16].to_vec(), &tag), Err(Forged));
        sealer.open(3, false, &mut chunk, &tag).unwrap();
        assert_eq!(&chunk, b"a chunk of a body");
    }
}
