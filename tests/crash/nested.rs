//! Power cuts during recovery, and during the recovery from those.

use crate::harness::{effort, nested, scripts, seed};

#[test]
fn every_call_of_every_recovery() {
    let stride = effort::of(61, 3);
    let mut disks = 0;
    for script in effort::some(scripts::all(), 8) {
        disks += nested::every_recovery(&script, seed(), stride, 1, None).unwrap().runs;
    }
    println!("recoveries: {disks} disks");
}

#[test]
fn two_levels_deep() {
    let mut disks = 0;
    let all = vec![
        scripts::first_steps(),
        scripts::buffered_then_synced(),
        scripts::log_rotation(),
        scripts::tombstones(),
    ];
    for script in effort::some(all, 4) {
        disks += nested::every_recovery(&script, seed(), effort::of(400, 17), 2, None).unwrap().runs;
    }
    println!("recoveries of recoveries: {disks} disks");
}
