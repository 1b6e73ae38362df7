//! Failing calls, at every place.

use crate::harness::{errors, scripts, seed};

#[test]
fn every_change_fails() {
    let mut disks = 0;
    for script in scripts::all() {
        disks += errors::every_change(&script, seed(), None).unwrap().runs;
    }
    println!("failing changes: {disks} disks");
}

#[test]
fn every_read_fails() {
    let mut disks = 0;
    for script in scripts::all() {
        for seed in [seed(), seed() + 1] {
            disks += errors::every_read(&script, seed, None).unwrap().runs;
        }
    }
    println!("failing reads: {disks} disks");
}
