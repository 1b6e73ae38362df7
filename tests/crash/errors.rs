//! Failing calls: at every place of each script, or at a sample spread over it.

use crate::harness::{effort, errors, places, scripts, seed};

#[test]
fn every_change_fails() {
    let mut disks = 0;
    for script in scripts::all() {
        disks += errors::some_changes(&script, seed(), places(2), None).unwrap().runs;
    }
    println!("failing changes: {disks} disks");
}

#[test]
fn every_read_fails() {
    let mut disks = 0;
    for script in scripts::all() {
        for seed in seed()..seed() + effort::of(1, 2) {
            disks += errors::some_reads(&script, seed, places(3), None).unwrap().runs;
        }
    }
    println!("failing reads: {disks} disks");
}
