//! Whole numbers in as few bytes as they need: seven bits a byte, low bits first, the top bit says "more".

/// The most bytes a number takes.
pub const MAX_LEN: usize = 10;

/// Appends `value`.
#[inline]
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads the number at `*at` and moves `*at` behind it; `None` if it is cut short or does not fit 64 bits.
#[inline]
pub fn get(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u64::from(first));
    }
    get_long(bytes, at)
}

fn get_long(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..MAX_LEN {
        let byte = *bytes.get(*at + place)?;
        if place == MAX_LEN - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            *at += place + 1;
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in (0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1, u64::MAX - (1 << bit)]) {
            let mut out = vec![7];
            put(&mut out, value);
            let mut at = 1;
            assert_eq!(get(&out, &mut at), Some(value));
            assert_eq!(at, out.len());
            assert_eq!(
                get(&out[..out.len() - 1], &mut 1),
                None,
                "a number cut short is refused"
            );
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_refused() {
        assert_eq!(get(&[0xff; 12], &mut 0), None);
        assert_eq!(
            get(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &mut 0),
            None
        );
    }
}
