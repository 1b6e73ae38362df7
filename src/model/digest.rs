//! Digests of bodies: BLAKE3 always, and the MD5 and CRC-64/XZ that OSS shows where a bucket asks for them.

use md5::{Digest as _, Md5};

/// The polynomial 0x42F0E1EBA9EA3693 of CRC-64/XZ with its bits reflected: bit 63 stands for x^0, bit 0 for x^63.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;

/// How many bytes pass through all the digests before the next ones do, so that they are read from memory once.
const STEP: usize = 128 * 1024;

/// Which digests are taken of the bodies that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Digests {
    /// BLAKE3 only, at several gigabytes a second. Entity tags are made from it.
    #[default]
    Fast,
    /// Also MD5 and CRC-64/XZ, as the clients of OSS expect them (OSS: `Content-MD5`, `x-oss-hash-crc64ecma`).
    /// Entity tags are made from MD5, which limits writing to about half a gigabyte a second and core.
    Oss,
}

/// The digests that are known of a body. What was not taken when it was written, or cannot be had without reading it
/// again (the MD5 of an object made of parts), is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ObjectDigests {
    /// The BLAKE3 hash.
    pub blake3: Option<[u8; 32]>,
    /// The MD5 hash (OSS: `Content-MD5`, there in base64).
    pub md5: Option<[u8; 16]>,
    /// The CRC-64/XZ checksum (OSS: `x-oss-hash-crc64ecma`, there as a decimal number).
    pub crc64: Option<u64>,
}

/// Takes the digests of a body as it streams by.
#[derive(Clone)]
pub(crate) struct Hasher {
    blake3: blake3::Hasher,
    oss: Option<(Md5, Crc64)>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Hasher {
    pub(crate) fn new(digests: Digests) -> Hasher {
        let oss = match digests {
            Digests::Fast => None,
            Digests::Oss => Some((Md5::new(), Crc64::new())),
        };
        Hasher { blake3: blake3::Hasher::new(), oss }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let Some((md5, crc64)) = &mut self.oss else {
            self.blake3.update(bytes);
            return;
        };
        for step in bytes.chunks(STEP) {
            self.blake3.update(step);
            md5.update(step);
            crc64.update(step);
        }
    }

    pub(crate) fn finish(self) -> ObjectDigests {
        let blake3 = Some(*self.blake3.finalize().as_bytes());
        let (md5, crc64) = self.oss.map(|(md5, crc64)| (md5.finalize().into(), crc64.value())).unzip();
        ObjectDigests { blake3, md5, crc64 }
    }
}

/// CRC-64/XZ of bytes that stream by, perhaps after others whose checksum is known.
#[derive(Clone)]
pub(crate) struct Crc64 {
    /// The checksum of what came before.
    before: u64,
    /// How many bytes streamed by since, and their checksum.
    len: u64,
    since: crc64fast::Digest,
}

impl Crc64 {
    pub(crate) fn new() -> Crc64 {
        Crc64::resume(0)
    }

    /// Goes on after bytes whose checksum is `value`: what an append does.
    pub(crate) fn resume(value: u64) -> Crc64 {
        Crc64 { before: value, len: 0, since: crc64fast::Digest::new() }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.since.write(bytes);
        self.len += bytes.len() as u64;
    }

    /// The checksum of everything so far.
    pub(crate) fn value(&self) -> u64 {
        crc64_combine(self.before, self.since.sum64(), self.len)
    }
}

/// The CRC-64/XZ of bytes with checksum `a`, followed by `len_b` bytes with checksum `b`.
///
/// The checksum starts from and ends with the same mask of ones, so the masks cancel out: what is left is to move `a`
/// over the bits of the second part (to multiply it by x^(8·`len_b`)) and to add `b`.
pub(crate) fn crc64_combine(a: u64, b: u64, len_b: u64) -> u64 {
    let mut moved = a;
    let mut rest = len_b;
    while moved != 0 && rest != 0 {
        moved = product(moved, BYTES[rest.trailing_zeros() as usize]);
        rest &= rest - 1;
    }
    moved ^ b
}

/// x^(8·2^i) modulo the polynomial, for each `i`: what it takes to move a checksum over 2^i bytes.
const BYTES: [u64; 64] = {
    let mut powers = [0; 64];
    // x^8, and then squared again and again.
    let mut power = 1 << (63 - 8);
    let mut i = 0;
    while i < 64 {
        powers[i] = power;
        power = product(power, power);
        i += 1;
    }
    powers
};

/// The product of two polynomials over GF(2), modulo the polynomial of the checksum, all with reflected bits.
const fn product(a: u64, mut b: u64) -> u64 {
    let mut sum = 0;
    let mut term = 1 << 63;
    while term != 0 {
        if a & term != 0 {
            sum ^= b;
        }
        b = (b >> 1) ^ if b & 1 == 1 { POLYNOMIAL } else { 0 };
        term >>= 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc64(bytes: &[u8]) -> u64 {
        let mut crc = Crc64::new();
        crc.update(bytes);
        crc.value()
    }

    /// The definition, bit by bit.
    fn slow_crc64(bytes: &[u8]) -> u64 {
        let mut state = u64::MAX;
        for byte in bytes {
            state ^= u64::from(*byte);
            for _ in 0..8 {
                state = (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL } else { 0 };
            }
        }
        !state
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn digests_of(digests: Digests, pieces: &[&[u8]]) -> ObjectDigests {
        let mut hasher = Hasher::new(digests);
        for piece in pieces {
            hasher.update(piece);
        }
        hasher.finish()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn crc64_has_the_values_that_oss_shows() {
        assert_eq!(crc64(b"123456789"), 11051210869376104954);
        assert_eq!(crc64(b""), 0);
        let noise = noise(5000);
        for len in [1, 7, 8, 127, 128, 129, 1023, 1024, 4095, 5000] {
            assert_eq!(crc64(&noise[..len]), slow_crc64(&noise[..len]), "{len} bytes");
        }
    }

    #[test]
    fn crc64_of_a_whole_is_combined_from_its_parts() {
        let noise = noise(3000);
        let whole = crc64(&noise);
        for cut in [0, 1, 2, 3, 8, 255, 256, 257, 1500, 2999, 3000] {
            let (a, b) = noise.split_at(cut);
            assert_eq!(crc64_combine(crc64(a), crc64(b), b.len() as u64), whole, "cut at {cut}");
        }
        assert_eq!(crc64_combine(0, 0, 0), 0);
        assert_eq!(crc64_combine(17, 0, 0), 17);
        assert_eq!(crc64_combine(0, 17, u64::MAX), 17);
    }

    #[test]
    fn crc64_is_combined_over_lengths_that_nobody_reads() {
        // Zeros of any length, by doubling: the checksum of 2n zeros is that of n zeros and n zeros.
        let mut zeros = crc64(&[0]);
        for log in 0..20 {
            zeros = crc64_combine(zeros, zeros, 1 << log);
        }
        assert_eq!(zeros, crc64(&vec![0; 1 << 20]));
        // 10,000 parts of 5 GiB, grouped in two ways.
        let (part, len) = (0x0123_4567_89AB_CDEF, 5 << 30);
        let one_by_one = (1..10_000).fold(part, |whole, _| crc64_combine(whole, part, len));
        let half = (1..5_000).fold(part, |whole, _| crc64_combine(whole, part, len));
        assert_eq!(crc64_combine(half, half, 5_000 * len), one_by_one);
        // Moving over one length and then another is moving over both, up to the longest.
        for first in [1, 48_u64 << 40, u64::MAX / 2, u64::MAX - 1] {
            let moved = crc64_combine(part, 0, first);
            assert_eq!(
                crc64_combine(moved, 0, u64::MAX - first),
                crc64_combine(part, 0, u64::MAX),
                "{first}"
            );
        }
    }

    #[test]
    fn crc64_goes_on_where_it_was_left() {
        let noise = noise(1000);
        for cut in [0, 1, 500, 999, 1000] {
            let mut crc = Crc64::resume(crc64(&noise[..cut]));
            assert_eq!(crc.value(), crc64(&noise[..cut]), "before a byte is added");
            let (middle, end) = noise[cut..].split_at((1000 - cut) / 2);
            crc.update(middle);
            crc.update(&[]);
            crc.update(end);
            assert_eq!(crc.value(), crc64(&noise), "cut at {cut}");
        }
    }

    #[test]
    fn only_the_digests_asked_for_are_taken() {
        let fast = digests_of(Digests::default(), &[b"hello"]);
        assert_eq!(fast.blake3, Some(*blake3::hash(b"hello").as_bytes()));
        assert_eq!((fast.md5, fast.crc64), (None, None));
        assert_eq!(ObjectDigests::default(), ObjectDigests { blake3: None, md5: None, crc64: None });
    }

    #[test]
    fn md5_and_blake3_have_the_published_values() {
        for (text, md5, blake3) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e", "af1349b9f5f9a1a6a0404dea36dcc949"),
            ("hello", "5d41402abc4b2a76b9719d911017c592", "ea8f163db38682925e4491c5e58d4bb3"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72", "6437b3ac38465133ffb63b75273a8db5"),
        ] {
            let oss = digests_of(Digests::Oss, &[text.as_bytes()]);
            assert_eq!(hex(&oss.md5.unwrap()), md5, "{text:?}");
            assert_eq!(hex(&oss.blake3.unwrap()[..16]), blake3, "{text:?}");
            assert_eq!(oss.crc64, Some(crc64(text.as_bytes())), "{text:?}");
        }
    }

    #[test]
    fn digests_do_not_depend_on_how_the_body_is_cut() {
        let noise = noise(2 * STEP + 5);
        let whole = digests_of(Digests::Oss, &[&noise]);
        for cut in [0, 1, 63, 64, STEP - 1, STEP, STEP + 1, 2 * STEP + 5] {
            let (a, b) = noise.split_at(cut);
            assert_eq!(digests_of(Digests::Oss, &[a, &[], b]), whole, "cut at {cut}");
        }
        assert_eq!(digests_of(Digests::Fast, &[&noise]).blake3, whole.blake3);
    }
}
