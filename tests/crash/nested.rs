//! Power cuts during recovery, and during the recovery from those.

use crate::harness::{nested, scripts, seed};

#[test]
fn every_call_of_every_recovery() {
    // In a build without optimisation a third of what one with it tries.
    let stride = if cfg!(debug_assertions) { 11 } else { 3 };
    let mut disks = 0;
    for script in scripts::all() {
        disks += nested::every_recovery(&script, seed(), stride, 1, None).unwrap().runs;
    }
    println!("recoveries: {disks} disks");
}

#[test]
fn two_levels_deep() {
    let mut disks = 0;
    for script in [
        scripts::first_steps(),
        scripts::buffered_then_synced(),
        scripts::log_rotation(),
        scripts::tombstones(),
    ] {
        disks += nested::every_recovery(&script, seed(), 17, 2, None).unwrap().runs;
    }
    println!("recoveries of recoveries: {disks} disks");
}
