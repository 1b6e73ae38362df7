//! Client-side encryption as a store polices it: which fields of the metadata stand together, and what parts they allow.
//!
//! The store never decrypts. What the clients write into the metadata (OSS: `x-oss-meta-client-side-encryption-…`, here
//! without `x-oss-meta-`) is all that a body can be read with later, so it may be neither half nor changed.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// What the names of all fields begin with.
const PREFIX: &str = "client-side-encryption-";
/// The fields without which nothing can be read.
const CORE: [&str; 4] = [
    "client-side-encryption-key",
    "client-side-encryption-start",
    "client-side-encryption-cek-alg",
    "client-side-encryption-wrap-alg",
];
/// Wanted besides where the key is wrapped as `rsa` (OSS: 0005-00000405).
const HMAC: &str = "client-side-encryption-magic-number-hmac";
const DATA_SIZE: &str = "client-side-encryption-data-size";
const PART_SIZE: &str = "client-side-encryption-part-size";
/// The block of the cipher, in bytes: a part begins at a multiple of it, or its counter could not be said.
const BLOCK: u64 = 16;

type Metadata = BTreeMap<String, String>;

/// `InvalidEncryptionRequest`: what is asked for would leave a body that nobody can decrypt.
fn refused(why: impl Into<String>) -> Error {
    Error::invalid("InvalidEncryptionRequest", why)
}

/// Whether a body with this metadata was encrypted by its client. Names are in lower case.
pub(crate) fn is_client_encrypted(metadata: &Metadata) -> bool {
    CORE.iter().any(|name| metadata.contains_key(*name))
}

/// Checks that the fields are all there, if any of them is.
pub(crate) fn check_client_encryption(metadata: &Metadata) -> Result<()> {
    if !is_client_encrypted(metadata) {
        return Ok(());
    }
    let wanted =
        CORE.iter().chain((metadata.get(CORE[3]).map(String::as_str) == Some("rsa")).then_some(&HMAC));
    for name in wanted {
        if metadata.get(*name).is_none_or(String::is_empty) {
            return Err(refused(format!(
                "metadata {name:?} is missing, and without it nobody could decrypt the body; give all fields of \
                 client-side encryption, or none"
            )));
        }
    }
    Ok(())
}

/// Checks that metadata that takes the place of other metadata leaves client-side encryption as it was.
pub(crate) fn check_client_encryption_kept(before: &Metadata, after: &Metadata) -> Result<()> {
    let fields = |metadata: &Metadata| -> Vec<(String, String)> {
        let pairs = metadata.iter().filter(|(name, _)| name.starts_with(PREFIX));
        pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let involved = is_client_encrypted(before) || is_client_encrypted(after);
    if involved && fields(before) != fields(after) {
        return Err(refused(
            "what the metadata says of client-side encryption cannot be changed, since the body stays as it is; give \
             the same fields again, or write the object again",
        ));
    }
    Ok(())
}

/// `InvalidEncryptionRequest`: a part cannot be copied, for its bytes would be decrypted at another place.
pub(crate) fn no_part_copy() -> Error {
    refused(
        "a part cannot be copied out of an object or into an upload that its client encrypted, since its bytes belong \
         to their place; read it, decrypt it, and put the part",
    )
}

/// The parts that an upload of an encrypted body is made of, as it was said when the upload was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPlan {
    data_size: u64,
    part_size: u64,
}

impl PartPlan {
    /// The plan in the metadata of an upload; `None` if its body is not encrypted by the client.
    pub(crate) fn of(metadata: &Metadata) -> Result<Option<PartPlan>> {
        check_client_encryption(metadata)?;
        if !is_client_encrypted(metadata) {
            return Ok(None);
        }
        let number = |name: &str| -> Result<u64> {
            let text = metadata.get(name).map(String::as_str).unwrap_or_default();
            // `parse` takes a sign too.
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|number| plain && *number > 0);
            number.ok_or_else(|| {
                refused(format!(
                    "metadata {name:?} of an encrypted upload is the number of bytes, at least 1, and not {text:?}"
                ))
            })
        };
        let plan = PartPlan { data_size: number(DATA_SIZE)?, part_size: number(PART_SIZE)? };
        if !plan.part_size.is_multiple_of(BLOCK) {
            return Err(refused(format!(
                "the part size of an encrypted upload is a multiple of {BLOCK}, and {} is none",
                plan.part_size
            )));
        }
        Ok(Some(plan))
    }

    /// How many parts there are to be.
    fn count(&self) -> u64 {
        self.data_size.div_ceil(self.part_size)
    }

    /// Checks the length of a part.
    pub(crate) fn check_part(&self, number: u32, size: u64) -> Result<()> {
        let (number, count) = (u64::from(number), self.count());
        if number > count {
            return Err(refused(format!(
                "the upload was begun for {} bytes in parts of {}, which makes {count}, and this is part {number}",
                self.data_size, self.part_size
            )));
        }
        let before = (number - 1) * self.part_size;
        let wanted = self.part_size.min(self.data_size - before);
        if size != wanted {
            return Err(refused(format!(
                "part {number} of this encrypted upload has {wanted} bytes, and {size} were given; its bytes would be \
                 decrypted at the wrong place"
            )));
        }
        Ok(())
    }

    /// Checks the parts that the object shall be made of: all there are to be, in their places.
    pub(crate) fn check_parts(&self, parts: impl ExactSizeIterator<Item = (u32, u64)>) -> Result<()> {
        let (given, count) = (parts.len() as u64, self.count());
        if given != count {
            return Err(refused(format!(
                "the upload was begun for {} bytes in parts of {}, which makes {count}, and {given} are completed",
                self.data_size, self.part_size
            )));
        }
        for (place, (number, size)) in parts.enumerate() {
            if u64::from(number) != place as u64 + 1 {
                return Err(refused(format!(
                    "the parts of an encrypted upload are numbered without a gap, but part {} is not among them",
                    place + 1
                )));
            }
            self.check_part(number, size)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> Metadata {
        pairs.iter().map(|(name, value)| (format!("{PREFIX}{name}"), value.to_string())).collect()
    }

    const WHOLE: [(&str, &str); 4] = [
        ("key", "a"),
        ("start", "b"),
        ("cek-alg", "AES/CTR/NoPadding"),
        ("wrap-alg", "RSA/NONE/PKCS1Padding"),
    ];

    fn plan(data: &str, part: &str) -> Result<Option<PartPlan>> {
        let mut pairs = WHOLE.to_vec();
        pairs.extend([("data-size", data), ("part-size", part)]);
        PartPlan::of(&metadata(&pairs))
    }

    fn code<T: std::fmt::Debug>(answer: Result<T>) -> &'static str {
        answer.unwrap_err().code()
    }

    #[test]
    fn the_fields_come_together_or_not_at_all() {
        check_client_encryption(&Metadata::new()).unwrap();
        check_client_encryption(&metadata(&[("matdesc", "{}")])).unwrap();
        check_client_encryption(&metadata(&WHOLE)).unwrap();
        for left_out in 0..WHOLE.len() {
            let mut pairs = WHOLE.to_vec();
            pairs.remove(left_out);
            assert_eq!(code(check_client_encryption(&metadata(&pairs))), "InvalidEncryptionRequest");
            pairs.push((WHOLE[left_out].0, ""));
            assert_eq!(code(check_client_encryption(&metadata(&pairs))), "InvalidEncryptionRequest");
            assert_eq!(
                code(check_client_encryption(&metadata(&WHOLE[left_out..=left_out]))),
                "InvalidEncryptionRequest"
            );
        }
        let mut rsa = WHOLE.to_vec();
        rsa[3].1 = "rsa";
        assert_eq!(code(check_client_encryption(&metadata(&rsa))), "InvalidEncryptionRequest");
        rsa.push(("magic-number-hmac", "c"));
        check_client_encryption(&metadata(&rsa)).unwrap();
    }

    #[test]
    fn other_metadata_may_change_and_that_of_the_encryption_not() {
        let whole = metadata(&WHOLE);
        let mut owned = whole.clone();
        owned.insert("owner".to_owned(), "ann".to_owned());
        check_client_encryption_kept(&whole, &owned).unwrap();
        check_client_encryption_kept(&Metadata::new(), &metadata(&[("matdesc", "{}")])).unwrap();
        let mut described = whole.clone();
        described.extend(metadata(&[("matdesc", "{}")]));
        for after in [Metadata::new(), metadata(&WHOLE[..3]), described] {
            assert_eq!(code(check_client_encryption_kept(&whole, &after)), "InvalidEncryptionRequest");
            assert_eq!(code(check_client_encryption_kept(&after, &whole)), "InvalidEncryptionRequest");
        }
    }

    #[test]
    fn a_plan_is_two_numbers() {
        assert_eq!(PartPlan::of(&Metadata::new()).unwrap(), None);
        assert_eq!(PartPlan::of(&metadata(&[("data-size", "x")])).unwrap(), None);
        assert_eq!(code(PartPlan::of(&metadata(&WHOLE))), "InvalidEncryptionRequest");
        plan("1", "16").unwrap().unwrap();
        for (data, part) in [
            ("", "16"),
            ("0", "16"),
            ("+1", "16"),
            ("9x5.2", "16"),
            ("-1", "16"),
            ("99999999999999999999999", "16"),
            ("1", ""),
            ("1", "0"),
            ("1", "8"),
            ("1", "17"),
            ("1", "1.6e1"),
        ] {
            assert_eq!(code(plan(data, part)), "InvalidEncryptionRequest", "{data:?} {part:?}");
        }
    }

    #[test]
    fn parts_are_as_long_as_they_were_said_to_be() {
        let plan = plan("100", "48").unwrap().unwrap();
        for (number, size) in [(1, 48), (2, 48), (3, 4)] {
            plan.check_part(number, size).unwrap();
            assert_eq!(code(plan.check_part(number, size + 1)), "InvalidEncryptionRequest");
            assert_eq!(code(plan.check_part(number, size - 1)), "InvalidEncryptionRequest");
        }
        assert_eq!(code(plan.check_part(4, 0)), "InvalidEncryptionRequest");
        plan.check_parts([(1, 48), (2, 48), (3, 4)].into_iter()).unwrap();
        for parts in [
            &[(1, 48), (2, 48)][..],
            &[(1, 48), (2, 48), (4, 4)],
            &[(1, 48), (2, 52), (3, 0)],
            &[(2, 48), (3, 48), (4, 4)],
            &[],
        ] {
            assert_eq!(
                code(plan.check_parts(parts.iter().copied())),
                "InvalidEncryptionRequest",
                "{parts:?}"
            );
        }
        // As large as a number goes, and no sum of it overflows.
        let huge = PartPlan { data_size: u64::MAX, part_size: u64::MAX - 15 };
        huge.check_part(2, 15).unwrap();
        assert_eq!(code(huge.check_part(u32::MAX, 15)), "InvalidEncryptionRequest");
    }
}
