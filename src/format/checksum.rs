//! Checksums that know where they belong, so that a stale or misplaced block cannot pass for the real one.

/// What ties a checksum to one segment: the CRC-32 of the store id, the segment id and the segment's nonce.
pub fn segment_seed(store_id: &[u8; 16], segment: u64, nonce: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(store_id);
    hasher.update(&segment.to_le_bytes());
    hasher.update(&nonce.to_le_bytes());
    hasher.finalize()
}

/// A 32-bit mix of a seed, a place and an index (the finaliser of SplitMix64 over their combination).
/// A plain CRC-32 is XORed with it, so bytes can be summed before their place is known.
#[inline]
pub fn place(seed: u32, offset: u64, index: u64) -> u32 {
    let mut x = u64::from(seed)
        ^ offset.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x ^ (x >> 32)) as u32
}

/// The plain CRC-32 (ISO-HDLC) of `bytes`.
#[inline]
pub fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_elsewhere_have_another_sum() {
        let here = place(7, 64, 0);
        assert_ne!(here, place(8, 64, 0));
        assert_ne!(here, place(7, 72, 0));
        assert_ne!(here, place(7, 64, 1));
        assert_ne!(segment_seed(&[1; 16], 1, 1), segment_seed(&[1; 16], 2, 1));
        assert_ne!(segment_seed(&[1; 16], 1, 1), segment_seed(&[1; 16], 1, 2));
        assert_eq!(crc(b"123456789"), 0xCBF4_3926);
    }
}
