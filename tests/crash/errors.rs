//! Failing calls: at every place in a build with optimisation, spread over each script in one without.

use crate::harness::{errors, places, scripts, seed};

#[test]
fn every_change_fails() {
    let mut disks = 0;
    for script in scripts::all() {
        disks += errors::some_changes(&script, seed(), places(24), None).unwrap().runs;
    }
    println!("failing changes: {disks} disks");
}

#[test]
fn every_read_fails() {
    let mut disks = 0;
    for script in scripts::all() {
        for seed in [seed(), seed() + 1] {
            disks += errors::some_reads(&script, seed, places(24), None).unwrap().runs;
        }
    }
    println!("failing reads: {disks} disks");
}
