//! Bodies are lent from the map of their segment.

use ossicle::{Bytes, ReadMode, Settings, Store};

/// Whether an address lies in the mapping of a segment file.
fn lies_in_a_segment(bytes: &Bytes) -> bool {
    let address = bytes.as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(".seg")).any(|line| {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        (number(from)..number(to)).contains(&address)
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_body_is_lent_from_the_map_without_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    // Beside the commit, and streamed.
    for len in [100_000, 1 << 20] {
        bucket.put("a", vec![7; len]).unwrap();
        let get = || bucket.get("a").unwrap().bytes().unwrap();
        let (first, second) = (get(), get());
        assert_eq!(first.as_ptr(), second.as_ptr(), "a copy would lie elsewhere");
        assert!(lies_in_a_segment(&first));
        let range =
            bucket.get_with("a", ossicle::GetOptions::new().range(1000..2000)).unwrap().bytes().unwrap();
        assert_eq!(range.as_ptr(), first[1000..].as_ptr());
        // What was lent stays readable when the object and even the store are gone.
        bucket.delete("a").unwrap();
        store.compact(Default::default()).unwrap();
        assert!(first == vec![7; len]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn reading_by_position_maps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { read_mode: ReadMode::Positioned, ..Default::default() };
    let store = Store::builder(dir.path()).settings(settings).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", vec![7; 1 << 20]).unwrap();
    let bytes = bucket.get("a").unwrap().bytes().unwrap();
    assert!(bytes == vec![7; 1 << 20] && !lies_in_a_segment(&bytes));
    let here = dir.path().to_str().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.lines().any(|line| line.contains(here)), "{maps}");
}
