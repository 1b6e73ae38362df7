//! MD5, for what OSS shows: entity tags, `Content-MD5`, fingerprints of keys. It protects nothing.
//!
//! RFC 1321 in safe code: a crate for it would be the only one of its kind that an embedded store builds.

/// How far the words turn left, by round and step.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
/// The first 32 bits of the fraction of `abs(sin(n + 1))`.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
const BLOCK: usize = 64;

/// The hash of bytes that stream by.
#[derive(Clone)]
pub struct Md5 {
    state: [u32; 4],
    /// How many bytes streamed by; what does not fill a block yet waits.
    len: u64,
    waiting: [u8; BLOCK],
}

impl Md5 {
    /// Of nothing yet.
    pub fn new() -> Md5 {
        Md5 { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476], len: 0, waiting: [0; BLOCK] }
    }

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> [u8; 16] {
        let mut hash = Md5::new();
        hash.update(bytes);
        hash.finish()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let at = self.len as usize % BLOCK;
        self.len = self.len.wrapping_add(bytes.len() as u64);
        if at > 0 {
            let (first, rest) = bytes.split_at(bytes.len().min(BLOCK - at));
            self.waiting[at..at + first.len()].copy_from_slice(first);
            if at + first.len() < BLOCK {
                return;
            }
            take(&mut self.state, &self.waiting);
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        blocks.iter().for_each(|block| take(&mut self.state, block));
        self.waiting[..rest.len()].copy_from_slice(rest);
    }

    /// The hash: behind the bytes come a bit, zeros, and their length in bits.
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.len.wrapping_mul(8);
        self.update(&[0x80]);
        let zeros = (BLOCK + 56 - self.len as usize % BLOCK) % BLOCK;
        self.update(&[0; BLOCK][..zeros]);
        self.update(&bits.to_le_bytes());
        let mut out = [0; 16];
        for (four, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *four = word.to_le_bytes();
        }
        out
    }
}

#[inline(always)]
fn round<const N: usize>(state: &mut [u32; 4], words: &[u32; 16], mix: impl Fn(u32, u32, u32) -> u32) {
    for step in 0..16 {
        let word = [step, 5 * step + 1, 3 * step + 5, 7 * step][N] % 16;
        let [a, b, c, d] = *state;
        let sum = a.wrapping_add(mix(b, c, d)).wrapping_add(SINES[16 * N + step]).wrapping_add(words[word]);
        *state = [d, b.wrapping_add(sum.rotate_left(TURNS[N][step % 4])), b, c];
    }
}

fn take(state: &mut [u32; 4], block: &[u8; BLOCK]) {
    let mut words = [0; 16];
    for (word, four) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*four);
    }
    let mut next = *state;
    // Each written so that the word that was made last comes in as late as can be.
    round::<0>(&mut next, &words, |b, c, d| d ^ (b & (c ^ d)));
    round::<1>(&mut next, &words, |b, c, d| (c & !d).wrapping_add(b & d));
    round::<2>(&mut next, &words, |b, c, d| b ^ (c ^ d));
    round::<3>(&mut next, &words, |b, c, d| c ^ (b | !d));
    for (word, next) in state.iter_mut().zip(next) {
        *word = word.wrapping_add(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        Md5::of(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The suite of RFC 1321.
    #[test]
    fn the_published_values_come_out() {
        for (text, hash) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "d174ab98d277d9f5a5611c2c9f419d9f",
            ),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex(text.as_bytes()), hash, "{text:?}");
        }
    }

    /// As `md5sum` says of so many letters `x`, around the ends of blocks.
    #[test]
    fn lengths_around_a_block_come_out() {
        for (len, hash) in [
            (55, "04364420e25c512fd958a70738aa8f72"),
            (56, "668a72d5ba17f08e62dabcafad6db14b"),
            (57, "693037871c4a9d3d8685018905cb530a"),
            (63, "7dc2ca208106a2f703567bdff99d8981"),
            (64, "c1bb4f81d892b2d57947682aeb252456"),
            (65, "1bc932052302d074bdec39795fe00cf6"),
            (119, "ab347a5f68c8a443cfcddc633f12c24f"),
            (120, "fb98667f98096de92620b64f46e1c5b5"),
            (128, "d69cb61a6ee87200676eb0d4b90edbcb"),
            (1000, "398533d48111e9f664b1f64cb10c4b63"),
        ] {
            assert_eq!(hex(&vec![b'x'; len]), hash, "{len} bytes");
        }
    }

    #[test]
    fn pieces_of_any_length_give_the_hash_of_the_whole() {
        let bytes: Vec<u8> = (0..1000u32).map(|n| (n * 7 % 251) as u8).collect();
        for len in [0, 1, 55, 56, 63, 64, 65, 127, 128, 200, 1000] {
            for step in [1, 3, 63, 64, 65, 130] {
                let mut hash = Md5::new();
                bytes[..len].chunks(step).for_each(|piece| hash.update(piece));
                assert_eq!(hash.finish(), Md5::of(&bytes[..len]), "{len} bytes in pieces of {step}");
            }
        }
    }
}
