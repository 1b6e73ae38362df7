//! Kinds of objects: by which call an object came to be, which decides what may be done with it.

use std::fmt;

/// How an object was made (OSS: `x-oss-object-type`). The kind of an object does not change; a put replaces the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// Put as a whole, or copied.
    #[default]
    Normal,
    /// Made of parts that were uploaded one by one.
    Multipart,
    /// Grows by appends.
    Appendable,
    /// Points to another key of the bucket.
    Symlink,
}

impl ObjectKind {
    /// Every kind, in the order of their numbers on disk.
    const ALL: [ObjectKind; 4] =
        [ObjectKind::Normal, ObjectKind::Multipart, ObjectKind::Appendable, ObjectKind::Symlink];

    /// The number on disk.
    pub(crate) fn number(self) -> u8 {
        match self {
            ObjectKind::Normal => 0,
            ObjectKind::Multipart => 1,
            ObjectKind::Appendable => 2,
            ObjectKind::Symlink => 3,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<ObjectKind> {
        ObjectKind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for ObjectKind {
    /// The name as OSS writes it: `Normal`, `Multipart`, `Appendable`, `Symlink`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::Normal => "Normal",
            ObjectKind::Multipart => "Multipart",
            ObjectKind::Appendable => "Appendable",
            ObjectKind::Symlink => "Symlink",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_their_names_and_numbers() {
        let names = ["Normal", "Multipart", "Appendable", "Symlink"];
        for (number, name) in (0..).zip(names) {
            let kind = ObjectKind::from_number(number).unwrap();
            assert_eq!((kind.number(), kind.to_string().as_str()), (number, name));
        }
        assert!((4..=u8::MAX).all(|number| ObjectKind::from_number(number).is_none()));
        assert_eq!(ObjectKind::default(), ObjectKind::Normal);
    }
}
