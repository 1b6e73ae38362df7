//! Storage classes: who may be in which, when a body may be read, and what a change of class makes of a row.
//!
//! The class of a version stands in its row, and a change of it is a change of the row alone. OSS changes the class of
//! an object by copying it (onto itself), and a copy reads: so whatever leaves an archive class must be restored first.
//! In every other respect each class can become each other one.

use crate::catalog::{self, HeadRow};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::ObjectRow;
use crate::model::{ObjectKind, StorageClass};

/// Refuses the coldest classes to objects that OSS does not keep in them: those that grow, and those that only lead to
/// others.
pub fn check_class(kind: Option<ObjectKind>, class: StorageClass) -> Result<()> {
    let coldest = matches!(class, StorageClass::ColdArchive | StorageClass::DeepColdArchive);
    match kind {
        Some(kind @ (ObjectKind::Appendable | ObjectKind::Symlink)) if coldest => Err(Error::invalid(
            "InvalidArgument",
            format!("an object of kind {kind} cannot be kept in the class {class} (OSS); take a warmer one"),
        )),
        _ => Ok(()),
    }
}

/// The same for the class in a row, be it given or its bucket's.
pub fn check_row_class(row: &ObjectRow) -> Result<()> {
    match StorageClass::from_number(row.class) {
        Some(class) => check_class(ObjectKind::from_number(row.kind), class),
        None => Ok(()),
    }
}

/// Gives a row a class. It comes into it anew: what was restored was so in the old one, and the minimum duration counts
/// from `since`, or from when the object was modified.
pub fn change(row: &mut ObjectRow, class: StorageClass, since: Option<u64>) -> Result<()> {
    check_class(ObjectKind::from_number(row.kind), class)?;
    row.class = class.number();
    row.warm();
    if since.is_some() {
        row.rare_mut().cold.since = since;
    }
    Ok(())
}

/// Refuses to read a body that must be restored first.
pub fn check_readable(key: &str, head: &HeadRow, now: impl FnOnce() -> u64) -> Result<()> {
    if catalog::is_frozen(&head.row, now) {
        return Err(frozen(key, StorageClass::from_number(head.row.class).unwrap_or_default()));
    }
    Ok(())
}

/// `InvalidObjectState`.
pub fn frozen(key: &str, class: StorageClass) -> Error {
    Error::new(
        ErrorKind::Archived,
        "InvalidObjectState",
        format!(
            "the object {key:?} is frozen in the class {class}; ask for it with `bucket.restore` and read it when \
             that is done"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ObjectMeta, from_millis};

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn meta(row: &ObjectRow) -> ObjectMeta {
        catalog::meta_of("a".to_string(), HeadRow { row: row.clone(), lsn: 1 }, false, || 0).unwrap()
    }

    /// A lifecycle leaves the time of an object as it is. Into IA and Archive its clock runs on, into the colder classes
    /// it begins anew; and a copy begins anew whatever was before.
    #[test]
    fn the_minimum_duration_counts_from_a_conversion_where_that_is_said() {
        let mut row = ObjectRow { modified: DAY * 10, ..ObjectRow::default() };
        change(&mut row, StorageClass::Archive, None).unwrap();
        assert_eq!(meta(&row).minimum_until(), Some(from_millis(DAY * 70)));
        change(&mut row, StorageClass::ColdArchive, Some(DAY * 40)).unwrap();
        assert_eq!(meta(&row).minimum_until(), Some(from_millis(DAY * 220)));
        assert_eq!(meta(&row).modified, from_millis(DAY * 10));
        change(&mut row, StorageClass::Standard, None).unwrap();
        assert_eq!((meta(&row).minimum_until(), row.extra), (None, None));
    }
}
