//! Names of uploads.

use std::fmt;

/// The digits of a name: 16 for the commit, 8 for the place in it.
const DIGITS: usize = 24;

/// The name of an upload of parts (OSS: `UploadId`): opaque text with one spelling, 24 upper-case hexadecimal digits.
/// Keep it, compare it, hand it back to [`Bucket::resume_upload`](crate::Bucket::resume_upload). Names are ordered in
/// the order in which the uploads were begun.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId {
    lsn: u64,
    n: u32,
    text: [u8; DIGITS],
}

impl UploadId {
    /// The name of the `n`th upload begun by the commit `lsn`.
    pub(crate) fn of(lsn: u64, n: u32) -> UploadId {
        let mut text = [0; DIGITS];
        text.copy_from_slice(format!("{lsn:016X}{n:08X}").as_bytes());
        UploadId { lsn, n, text }
    }

    /// Reads a name as [`Display`](fmt::Display) writes it; `None` for what no upload can be called.
    pub(crate) fn parse(text: &str) -> Option<UploadId> {
        // The digits are compared, since `from_str_radix` takes a sign and lower case too.
        let (lsn, n) = text.split_at_checked(16)?;
        let id = UploadId::of(u64::from_str_radix(lsn, 16).ok()?, u32::from_str_radix(n, 16).ok()?);
        (id.as_str() == text).then_some(id)
    }

    /// The commit and the place in it.
    pub(crate) fn seq(&self) -> (u64, u32) {
        (self.lsn, self.n)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl AsRef<str> for UploadId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadId({self})")
    }
}

impl PartialEq<str> for UploadId {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for UploadId {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// The fewest bytes of a part, unless it is the last one of its object (OSS).
pub const MIN_PART: u64 = 100 << 10;

/// The highest number of a part (OSS).
pub const MAX_NUMBER: u32 = 10_000;

/// The most bytes of a part (OSS): 5 GiB.
pub const MAX_PART: u64 = 5 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_in_no_other_way() {
        for (id, text) in [
            (UploadId::of(0, 0), "000000000000000000000000"),
            (UploadId::of(0x1f, 0xab), "000000000000001F000000AB"),
            (UploadId::of(u64::MAX, u32::MAX), "FFFFFFFFFFFFFFFFFFFFFFFF"),
        ] {
            assert_eq!((id.to_string().as_str(), id.as_ref()), (text, text));
            assert_eq!(UploadId::parse(text), Some(id.clone()));
            assert!(id == text && id == *text && UploadId::of(id.seq().0, id.seq().1) == id);
        }
        for bad in [
            "",
            "null",
            "00000000000000000000000",
            "0000000000000000000000000",
            "+00000000000000000000000",
            "0000000000000000+0000000",
            "000000000000001f000000ab",
            "00000000000000000000000G",
            "000000000000000é0000000",
        ] {
            assert_eq!(UploadId::parse(bad), None, "{bad:?}");
        }
        assert!(UploadId::of(1, 9) < UploadId::of(2, 0) && UploadId::of(1, 0) < UploadId::of(1, 1));
    }
}
