//! The delta alone: memory, order, clones.

use super::*;

fn key(n: u64) -> Vec<u8> {
    format!("bucket/00000001/object-{n:010}").into_bytes()
}

#[test]
fn a_clone_never_changes() {
    let mut delta = Delta::new();
    let mut clones = Vec::new();
    for n in 0..2000u64 {
        delta.put(&key(n * 7919 % 2000), Kept::new(n, 0, vec![n as u8; 20]).as_new(), None);
        if n % 100 == 99 {
            clones.push((n + 1, delta.clone()));
        }
    }
    for (count, clone) in clones {
        assert_eq!(clone.len() as u64, count);
        assert_eq!(clone.totals(&[], None).objects(0), count as i64);
        for n in 0..2000 {
            let lsn = clone.get(&key(n * 7919 % 2000)).map(|item| item.lsn);
            assert_eq!(lsn, (n < count).then_some(n));
        }
    }
}

#[test]
fn memory_is_counted_and_stays_near_what_is_held() {
    for step in [1, 7919] {
        let mut delta = Delta::new();
        let mut held = 0;
        for n in 0..20_000u64 {
            let (key, item) = (key(n * step % 20_011), Kept::new(n, 0, vec![1; 30]));
            held += key.len() + item.value.len();
            delta.put(&key, item.as_new(), None);
        }
        assert_eq!(delta.bytes(), delta.root.total_memory(), "what is counted is what is there");
        assert!(delta.bytes() > held && delta.bytes() < held * 2, "{} for {held}", delta.bytes());
    }
}

#[test]
fn overwriting_leaves_no_garbage_behind() {
    let mut delta = Delta::new();
    for n in 0..50_000u64 {
        let item = Kept::new(n, 0, vec![n as u8; (n * 31 % 400) as usize]);
        delta.put(&key(n % 50), item.as_new(), None);
        if n % 10 == 0 {
            std::hint::black_box(delta.clone());
        }
    }
    assert_eq!(delta.len(), 50);
    assert_eq!(delta.bytes(), delta.root.total_memory());
    assert!(delta.bytes() < 64 << 10, "{}", delta.bytes());
}
