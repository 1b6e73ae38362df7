//! The application's own rows.

use std::ops::Bound;

use ossicle::{ErrorKind, Result, RowRange, Rows, Store};

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

fn keys(rows: Rows<'_>) -> Vec<Vec<u8>> {
    rows.map(|row| row.unwrap().0.to_vec()).collect()
}

/// Keys that lie close together, in order.
fn close_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = vec![vec![], vec![0], vec![0, 0], vec![0, 255], vec![1], b"a".to_vec()];
    keys.extend([b"a\0".to_vec(), b"ab".to_vec(), vec![b'b'; 799], vec![b'b'; 800], vec![254], vec![255]]);
    keys.extend([vec![255, 0], vec![255; 799], vec![255; 800]]);
    keys
}

#[test]
fn rows_are_listed_in_order_from_either_end() {
    let store = Store::in_memory().unwrap();
    let told = close_keys();
    store
        .write(|tx| {
            for key in &told {
                tx.put_row("t", key, key)?;
                tx.put_row("t/u", key, b"other")?;
                tx.put_row("s", key, b"other")?;
            }
            Ok(())
        })
        .unwrap();
    for checkpoint in [false, true] {
        if checkpoint {
            store.checkpoint().unwrap();
        }
        assert_eq!(keys(store.rows("t", ..).unwrap()), told);
        let mut back: Vec<_> =
            store.rows("t", ..).unwrap().rev().map(|row| row.unwrap().0.to_vec()).collect();
        back.reverse();
        assert_eq!(back, told);
        for row in store.rows("t", ..).unwrap() {
            let (key, value) = row.unwrap();
            assert_eq!(key, value);
        }
        // From both ends at once, they meet.
        let mut rows = store.rows("t", ..).unwrap();
        let (mut front, mut back) = (Vec::new(), Vec::new());
        loop {
            let Some(row) = rows.next() else { break };
            front.push(row.unwrap().0.to_vec());
            let Some(row) = rows.next_back() else { break };
            back.push(row.unwrap().0.to_vec());
        }
        back.reverse();
        assert_eq!([front, back].concat(), told);
        for from in &told {
            for to in &told {
                let within = |key: &&Vec<u8>| *key >= from && *key < to;
                let some: Vec<_> = told.iter().filter(within).cloned().collect();
                assert_eq!(keys(store.rows("t", &from[..]..&to[..]).unwrap()), some);
                let some: Vec<_> = told.iter().filter(|key| *key > from && *key <= to).cloned().collect();
                let bounds = (Bound::Excluded(from), Bound::Included(to));
                assert_eq!(keys(store.rows("t", bounds).unwrap()), some);
            }
            let some: Vec<_> = told.iter().filter(|key| key.starts_with(from)).cloned().collect();
            assert_eq!(keys(store.rows("t", RowRange::prefix(from)).unwrap()), some);
        }
    }
    assert_eq!(store.rows("nothing", ..).unwrap().count(), 0);
    assert_eq!(keys(store.rows("t", .."a").unwrap()).len(), 5);
    assert_eq!(keys(store.rows("t", ..="a").unwrap()).len(), 6);
    assert_eq!(keys(store.rows("t", "a"..="a\0").unwrap()), [b"a".to_vec(), b"a\0".to_vec()]);
    assert_eq!(code(store.rows("", ..)), "InvalidArgument");
    assert_eq!(code(store.rows("t", RowRange::all().after([0; 801]))), "InvalidArgument");
    assert_eq!(code(store.rows("t", [7; 802]..)), "InvalidArgument");
    // The last key there can be has nothing behind it.
    assert_eq!(store.rows("t", RowRange::all().after([255; 800])).unwrap().count(), 0);
}

#[test]
fn rows_are_paged_and_stay_as_they_were_when_the_listing_began() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let key = |n: u32| n.to_be_bytes();
    store.write(|tx| (0..3000u32).try_for_each(|n| tx.put_row("t", &key(n), &[1; 100]))).unwrap();
    let (mut rows, snapshot) = (store.rows("t", ..).unwrap(), store.snapshot().unwrap());
    assert_eq!(&rows.next().unwrap().unwrap().0[..], key(0));
    store
        .write(|tx| (0..3000u32).filter(|n| n % 2 == 0).try_for_each(|n| tx.delete_row("t", &key(n))))
        .unwrap();
    store.checkpoint().unwrap();
    assert_eq!(rows.count(), 2999);
    assert_eq!(snapshot.rows("t", ..).unwrap().count(), 3000);
    let mut seen = 0;
    let mut range = RowRange::all();
    loop {
        let page: Vec<_> = store.rows("t", range.clone()).unwrap().take(7).map(Result::unwrap).collect();
        let Some((last, _)) = page.last() else { break };
        range = range.after(last);
        seen += page.len();
        // What is written between pages shows in the next one.
        if seen == 700 {
            store.write(|tx| tx.put_row("t", &key(2998), b"")).unwrap();
        }
    }
    assert_eq!(seen, 1501);
    let mut range = RowRange::from(key(10)..);
    let mut back = Vec::new();
    while let Some((last, _)) = store.rows("t", range.clone()).unwrap().next_back().transpose().unwrap() {
        range = range.before(&last);
        back.push(u32::from_be_bytes(last[..].try_into().unwrap()));
    }
    assert_eq!((back.len(), back[0], back[back.len() - 1]), (1496, 2999, 11));
}

#[test]
fn long_rows_come_a_few_at_a_time() {
    let store = Store::in_memory().unwrap();
    for n in 0..40u8 {
        store.write(|tx| tx.put_row("t", &[n], &vec![n; 256 * 1024])).unwrap();
    }
    for (n, row) in store.rows("t", ..).unwrap().enumerate() {
        let (key, value) = row.unwrap();
        assert_eq!((key[0] as usize, value.len(), value[0]), (n, 256 * 1024, key[0]));
    }
    assert_eq!(
        store.rows("t", ..).unwrap().rev().map(|row| row.unwrap().0[0]).collect::<Vec<_>>(),
        (0..40).rev().collect::<Vec<_>>()
    );
}

#[test]
fn a_transaction_lists_its_own_rows_among_the_others() {
    let store = Store::in_memory().unwrap();
    store
        .write(|tx| ["a", "b", "c", "d"].iter().try_for_each(|key| tx.put_row("t", key.as_bytes(), b"old")))
        .unwrap();
    store
        .write(|tx| {
            tx.put_row("t", b"b", b"new")?;
            tx.put_row("t", b"bb", b"new")?;
            tx.delete_row("t", b"c")?;
            tx.delete_row("t", b"never")?;
            let told = [("a", "old"), ("b", "new"), ("bb", "new"), ("d", "old")];
            let listed = |rows: Rows<'_>| -> Vec<(String, String)> {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                rows.map(|row| row.unwrap()).map(|(key, value)| (text(&key), text(&value))).collect()
            };
            let told: Vec<_> = told.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            assert_eq!(listed(tx.rows("t", ..)?), told);
            let mut back: Vec<_> = tx.rows("t", "b"..)?.rev().map(|row| row.unwrap().0).collect();
            back.reverse();
            assert_eq!(back, ["b", "bb", "d"]);
            // What was listed is written to.
            let page: Vec<_> = tx.rows("t", RowRange::prefix("b"))?.take(2).collect::<Result<_>>()?;
            for (key, _) in &page {
                tx.delete_row("t", key)?;
            }
            assert_eq!(tx.rows("t", ..)?.count(), 2);
            Ok(())
        })
        .unwrap();
    assert_eq!(keys(store.rows("t", ..).unwrap()), [b"a".to_vec(), b"d".to_vec()]);
    assert_eq!(code(store.write(|tx| tx.rows("", ..).map(|_| ()))), "InvalidArgument");
}

#[test]
fn a_listing_of_rows_outlives_its_handle_but_not_its_store() {
    let store = Store::in_memory().unwrap();
    store.write(|tx| (0..2000u32).try_for_each(|n| tx.put_row("t", &n.to_be_bytes(), b""))).unwrap();
    let mut rows = store.clone().rows("t", ..).unwrap();
    rows.next().unwrap().unwrap();
    store.close().unwrap();
    let mut last = None;
    for row in rows.by_ref() {
        last = Some(row);
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(rows.next().is_none() && rows.next_back().is_none());
}

#[test]
fn the_rows_of_the_retained_past_are_had_one_by_one_and_of_a_held_moment_all() {
    let store = Store::in_memory().unwrap();
    store.set_history(Some(std::time::Duration::from_secs(3600))).unwrap();
    let past = store.write(|tx| tx.put_row("t", b"a", b"1")).map(|()| store.stats().lsn).unwrap();
    let held = store.snapshot().unwrap();
    store.write(|tx| tx.delete_row("t", b"a")).unwrap();
    // A snapshot is held that shows it.
    assert_eq!(store.as_of(past).unwrap().rows("t", ..).unwrap().count(), 1);
    drop(held);
    let shown = store.as_of(past).unwrap();
    assert_eq!(shown.row("t", b"a").unwrap().unwrap(), &b"1"[..]);
    assert_eq!(code(shown.rows("t", ..)), "OperationNotSupported");
    assert_eq!(store.as_of(store.stats().lsn).unwrap().rows("t", ..).unwrap().count(), 0);
}
