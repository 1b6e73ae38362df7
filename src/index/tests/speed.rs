//! Temporary measurement.
use super::*;
use std::time::Instant;

fn key(n: u64) -> Vec<u8> {
    format!("\x03\0\0\x01bucket/photos/{:012}", n.wrapping_mul(0x9e3779b97f4a7c15) % 1_000_000_007).into_bytes()
}

fn rate(name: &str, count: u64, f: impl FnOnce()) {
    let start = Instant::now();
    f();
    let s = start.elapsed().as_secs_f64();
    println!("{name}: {:.2} M/s ({:.0} ns)", count as f64 / s / 1e6, s * 1e9 / count as f64);
}

#[test]
fn speed() {
    let n = 100_000u64;
    let path = std::path::PathBuf::from("/tmp/target-index/speed.tree");
    let _ = std::fs::remove_file(&path);
    let file = crate::env::RealVfs.open(&path, OpenMode::CreateNew, Site::INDEX_OPEN).unwrap();
    let keys: Vec<Vec<u8>> = (0..n).map(key).collect();
    let pages = open(&file, ReadMode::Map);
    let mut index = Index::new(pages.tree(None).unwrap());
    let value = vec![7u8; 40];
    let item = Kept::new(1, 1, value);
    rate("delta put (fresh, unshared)", n, || keys.iter().for_each(|k| put(&mut index, k, &item)));
    rate("delta put (overwrite)", n, || keys.iter().for_each(|k| put(&mut index, k, &item)));
    println!("delta bytes per key {}", index.active.bytes() / n as usize);
    rate("delta put (clone after each)", n, || {
        keys.iter().for_each(|k| {
            let keep = index.clone();
            put(&mut index, k, &item);
            drop(keep);
        })
    });
    let mut dice = Dice(1);
    let order: Vec<usize> = (0..2_000_000).map(|_| dice.below(n) as usize).collect();
    rate("harness alone", 2_000_000, || {
        for i in &order {
            std::hint::black_box(keys[*i].iter().fold(0u8, |a, b| a ^ b));
        }
    });
    for _ in 0..2 {
        rate("delta get", 2_000_000, || {
            for i in &order {
                std::hint::black_box(index.active.get(&keys[*i]).unwrap().value().len());
            }
        });
    }
    index.freeze();
    let mut root = None;
    rate("merge into empty", n, || {
        let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| false).unwrap();
        root = merged.tree.root();
        println!("pages {}", merged.pages_written);
        std::mem::forget(merged);
    });
    for mode in [ReadMode::Map, ReadMode::Positioned { cache_bytes: 64 << 20 }] {
        let pages = open(&file, mode);
        let tree = pages.tree(root).unwrap();
        println!("{mode:?} root height {}", root.unwrap().height);
        for _ in 0..3 {
            rate("tree get", 2_000_000, || {
                for i in &order {
                    std::hint::black_box(tree.get(&keys[*i]).unwrap().unwrap().value().len());
                }
            });
        }
        let index = Index::new(tree);
        rate("index get", 2_000_000, || {
            for i in &order {
                std::hint::black_box(index.get(&keys[*i]).unwrap().unwrap().value().len());
            }
        });
        rate("totals", 100_000, || {
            for i in &order[..100_000] {
                std::hint::black_box(index.totals(&keys[*i], None).unwrap());
            }
        });
        rate("scan", n, || {
            let mut c = index.cursor();
            c.next().unwrap();
            while let Some(k) = c.key() {
                std::hint::black_box(k);
                c.next().unwrap();
            }
        });
    }
}
