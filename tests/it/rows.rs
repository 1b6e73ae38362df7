//! The application's own rows.

use ossicle::Store;

use crate::code;

#[test]
fn rows_are_kept_by_table_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let large = vec![5; 256 * 1024];
    store
        .write(|tx| {
            tx.put_row("a", b"k", b"1")?;
            tx.put_row("ab", b"", b"2")?;
            tx.put_row("a/b", b"\0\xFF", b"")?;
            tx.put_row("large", b"k", &large)
        })
        .unwrap();
    store.close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.row("a", b"k").unwrap().unwrap(), &b"1"[..]);
    assert_eq!(store.row("ab", b"").unwrap().unwrap(), &b"2"[..]);
    assert_eq!(store.row("a/b", b"\0\xFF").unwrap().unwrap(), &b""[..]);
    assert_eq!(store.row("large", b"k").unwrap().unwrap(), large);
    assert_eq!(store.row("a", b"bk").unwrap(), None);
    assert_eq!(store.row("a", b"").unwrap(), None);
    store.write(|tx| tx.delete_row("a", b"k")).unwrap();
    assert_eq!(store.row("a", b"k").unwrap(), None);
    // Rows are no objects.
    assert_eq!(store.usage().unwrap().objects, 0);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn rows_have_limits() {
    let store = Store::in_memory().unwrap();
    let put = |table: &str, key: &[u8], len: usize| store.write(|tx| tx.put_row(table, key, &vec![0; len]));
    put(&"t".repeat(255), &[255; 800], 256 * 1024).unwrap();
    assert_eq!(code(put(&"t".repeat(256), b"", 0)), "InvalidArgument");
    assert_eq!(code(put("", b"", 0)), "InvalidArgument");
    assert_eq!(code(put("a\0b", b"", 0)), "InvalidArgument");
    assert_eq!(code(put("t", &[0; 801], 0)), "InvalidArgument");
    assert_eq!(code(put("t", b"", 256 * 1024 + 1)), "EntityTooLarge");
    assert_eq!(code(store.row("", b"")), "InvalidArgument");
    assert_eq!(code(store.row("t", &[0; 801])), "InvalidArgument");
}
