//! Comparing keys by their first eight bytes before the rest: most comparisons of a search end there.

use std::cmp::Ordering;

/// A key that is compared with many others.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'k> {
    key: &'k [u8],
    head: u64,
}

impl<'k> Sought<'k> {
    /// Prepares a key.
    #[inline]
    pub fn new(key: &'k [u8]) -> Sought<'k> {
        Sought { key, head: head(key, key.len()) }
    }

    /// How a hint compares with the key's; equal hints say nothing.
    #[inline]
    pub fn order_of_hint(&self, hint: [u8; 2]) -> Ordering {
        u16::from_be_bytes(hint).cmp(&((self.head >> 48) as u16))
    }

    /// How the first `len` bytes of `bytes` compare with the key. What follows them may be anything; if there is
    /// enough of it, the first eight are read at once.
    #[inline]
    pub fn order_of(&self, bytes: &[u8], len: usize) -> Ordering {
        match head(bytes, len).cmp(&self.head) {
            // Padding can make "a" and "a\0" look alike, and both may go on.
            Ordering::Equal => bytes[..len].cmp(self.key),
            side => side,
        }
    }
}

/// The first two bytes of a key, padded with zeros.
pub fn hint(key: &[u8]) -> [u8; 2] {
    [key.first().copied().unwrap_or(0), key.get(1).copied().unwrap_or(0)]
}

/// The first eight of `len` bytes as a number that sorts like them, padded with zeros.
#[inline]
fn head(bytes: &[u8], len: usize) -> u64 {
    let whole = match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            bytes.iter().take(8).fold(0, |head, byte| head << 8 | u64::from(*byte))
                << (8 * (8 - bytes.len())).min(63)
        }
    };
    match len {
        0 => 0,
        1..8 => whole & (u64::MAX << (64 - 8 * len)),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_order_of_slices() {
        let mut keys: Vec<Vec<u8>> = vec![vec![]];
        for byte in [0, 1, 0x7f, 0xff] {
            for len in 1..20 {
                keys.push(vec![byte; len]);
                keys.push([vec![byte; len - 1], vec![3]].concat());
            }
        }
        for one in &keys {
            for other in &keys {
                let expected = one.cmp(other);
                assert_eq!(Sought::new(other).order_of(one, one.len()), expected, "{one:?} {other:?}");
                let by_hint = Sought::new(other).order_of_hint(hint(one));
                assert!(by_hint.is_eq() || by_hint == expected, "{one:?} {other:?}");
                let followed = [&one[..], &[0xee; 9]].concat();
                assert_eq!(Sought::new(other).order_of(&followed, one.len()), expected, "{one:?} {other:?}");
            }
        }
    }
}
