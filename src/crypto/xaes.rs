//! XAES-256-GCM as the C2SP specifies it: AES-256-GCM under a key of its own for each half of a 192-bit nonce.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::{AeadInOut, Aes256Gcm};
use zeroize::Zeroize;

use super::forged::Forged;
use super::secret::SecretKey;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 24;

/// The cipher with a key. Nonces may be random, for as many messages as anybody can make.
pub struct Xaes {
    aes: Aes256,
    /// The subkey of CMAC for whole blocks.
    k1: [u8; 16],
}

impl Xaes {
    /// The cipher with this key.
    pub fn new(key: &SecretKey) -> Xaes {
        let aes = Aes256::new(key.as_bytes().into());
        let mut block = [0u8; 16].into();
        aes.encrypt_block(&mut block);
        let l = u128::from_be_bytes(block.into());
        // Doubling in GF(2^128), without a branch on a secret.
        let k1 = (l << 1) ^ ((l >> 127) * 0b1000_0111);
        Xaes { aes, k1: k1.to_be_bytes() }
    }

    /// Encrypts in place and answers the tag. A nonce must never be used twice.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], bytes: &mut [u8]) -> [u8; 16] {
        let (gcm, nonce) = self.under(nonce);
        let sealed = gcm.encrypt_inout_detached(&nonce.into(), aad, InOutBuf::from(bytes));
        sealed.expect("no unit is as long as the cipher's limit of 64 GiB").into()
    }

    /// Decrypts in place. If the tag does not verify, nothing of the plaintext was made.
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        bytes: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        let (gcm, nonce) = self.under(nonce);
        gcm.decrypt_inout_detached(&nonce.into(), aad, InOutBuf::from(bytes), tag.into()).map_err(|_| Forged)
    }

    /// The cipher under the key that the first half of the nonce leads to, and the nonce's second half.
    fn under(&self, nonce: &[u8; NONCE_LEN]) -> (Aes256Gcm, [u8; 12]) {
        let (context, rest) = nonce.split_at(12);
        let mut key = [0u8; 32];
        for (counter, half) in (1u8..).zip(key.chunks_exact_mut(16)) {
            let mut block = [0u8; 16];
            block[..4].copy_from_slice(&[0, counter, b'X', 0]);
            block[4..].copy_from_slice(context);
            block.iter_mut().zip(&self.k1).for_each(|(byte, mask)| *byte ^= mask);
            let mut block = block.into();
            self.aes.encrypt_block(&mut block);
            half.copy_from_slice(&block);
        }
        let gcm = Aes256Gcm::new(&key.into());
        key.zeroize();
        (gcm, rest.try_into().expect("twelve bytes"))
    }
}

impl Drop for Xaes {
    fn drop(&mut self) {
        // The key schedule wipes itself.
        self.k1.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shake::digest::{ExtendableOutput, Update, XofReader};

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn sealed(key: [u8; 32], nonce: &[u8; 24], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let cipher = Xaes::new(&SecretKey::new(key));
        let mut bytes = plain.to_vec();
        let tag = cipher.seal(nonce, aad, &mut bytes);
        let mut back = bytes.clone();
        cipher.open(nonce, aad, &mut back, &tag).unwrap();
        assert_eq!(back, plain);
        bytes.extend(tag);
        bytes
    }

    /// The vectors of c2sp.org/XAES-256-GCM: in the first the top bit of L is 0, in the second it is 1.
    #[test]
    fn the_published_vectors() {
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let first = sealed([1; 32], nonce, b"", b"XAES-256-GCM");
        assert_eq!(first, hex("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"));
        let second = sealed([3; 32], nonce, b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM");
        assert_eq!(second, hex("986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"));
    }

    /// The accumulated vector of the same page: ten thousand keys, nonces, texts and additional data from SHAKE-128.
    #[test]
    fn the_accumulated_vector() {
        let mut source = shake::Shake128::default().finalize_xof();
        let mut sum = shake::Shake128::default();
        let mut take = |len: usize| {
            let mut bytes = vec![0; len];
            source.read(&mut bytes);
            bytes
        };
        for _ in 0..10_000 {
            let key: [u8; 32] = take(32).try_into().unwrap();
            let nonce: [u8; 24] = take(24).try_into().unwrap();
            let len = take(1)[0];
            let plain = take(usize::from(len));
            let len = take(1)[0];
            let aad = take(usize::from(len));
            sum.update(&sealed(key, &nonce, &aad, &plain));
        }
        let mut result = [0; 32];
        sum.finalize_xof().read(&mut result);
        assert_eq!(result[..], hex("e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"));
    }

    #[test]
    fn nothing_opens_that_was_changed() {
        let cipher = Xaes::new(&SecretKey::new([9; 32]));
        let mut bytes = *b"some bytes";
        let tag = cipher.seal(&[5; 24], b"aad", &mut bytes);
        let refused = |nonce: [u8; 24], aad: &[u8], bytes: [u8; 10], tag: [u8; 16]| {
            let mut bytes = bytes;
            let before = bytes;
            assert_eq!(cipher.open(&nonce, aad, &mut bytes, &tag), Err(Forged));
            assert_eq!(bytes, before, "nothing is decrypted before the tag has verified");
        };
        for place in 0..24 {
            let mut nonce = [5; 24];
            nonce[place] ^= 1;
            refused(nonce, b"aad", bytes, tag);
        }
        for place in 0..16 {
            let mut tag = tag;
            tag[place] ^= 0x80;
            refused([5; 24], b"aad", bytes, tag);
        }
        for place in 0..10 {
            let mut bytes = bytes;
            bytes[place] ^= 1;
            refused([5; 24], b"aad", bytes, tag);
        }
        refused([5; 24], b"aae", bytes, tag);
    }
}
