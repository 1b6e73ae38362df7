//! Full disks of every size.

use crate::harness::{full, scripts, seed};

#[test]
fn disks_of_every_size() {
    let mut disks = 0;
    for script in scripts::all() {
        let step = if script.name == "maintenance" || script.name == "log_rotation" { 128 << 10 } else { 8 << 10 };
        disks += full::every_capacity(&script, seed(), step, None).unwrap().runs;
    }
    println!("full disks: {disks}");
}
