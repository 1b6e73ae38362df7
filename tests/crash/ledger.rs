//! The ledger of faults: every site is called, and power cuts and errors have struck wherever something changes.

use ossicle::Site;

use crate::harness::world::SEALED;
use crate::harness::{Tally, cuts, errors, full, nested, scripts, seed};

/// Sites that only read, or write what is never durable: a power cut there finds nothing half done.
const READING: [Site; 8] = [
    Site::STORE_LOCK,
    Site::STORE_LIST,
    Site::NOTE,
    Site::READERS,
    Site::SUPERBLOCK_READ,
    Site::SEGMENT_OPEN,
    Site::SEGMENT_READ,
    Site::INDEX_READ,
];
/// Sites that are only reached when a disk is full; they are called, and fail, in tests of their own.
const WHEN_FULL: [Site; 1] = [Site::LOG_UNDO];

#[test]
fn every_site_is_called_and_struck() {
    let mut tally = Tally::default();
    for script in scripts::all() {
        tally.join(cuts::every_call(&script, seed(), None).unwrap());
        tally.join(errors::every_change(&script, seed(), None).unwrap());
    }
    let shreds = scripts::shreds();
    tally.join(cuts::every_call(&shreds, seed() | SEALED, None).unwrap());
    tally.join(errors::every_change(&shreds, seed() | SEALED, None).unwrap());
    for script in [scripts::first_steps(), scripts::streamed_buffered()] {
        tally.join(full::every_capacity(&script, seed(), 4 << 10, None).unwrap());
        tally.join(nested::every_recovery(&script, seed(), 7, 1, None).unwrap());
    }
    let hits = |site: Site, fault| tally.hits.get(&(site.0, fault)).copied().unwrap_or(0);
    println!("{:18} {:>9} {:>9} {:>9} {:>9} {:>9}", "site", "calls", "power-cut", "error", "sticky", "full");
    let mut missed = Vec::new();
    for site in Site::ALL {
        let calls = tally.calls.get(site.0).copied().unwrap_or(0);
        let (cut, error) = (hits(*site, "power-cut"), hits(*site, "error"));
        println!(
            "{:18} {calls:>9} {cut:>9} {error:>9} {:>9} {:>9}",
            site.0,
            hits(*site, "sticky"),
            hits(*site, "storage-full")
        );
        if calls == 0 {
            missed.push(format!("{} is never called", site.0));
        }
        if !READING.contains(site) && !WHEN_FULL.contains(site) {
            if cut == 0 {
                missed.push(format!("no power cut at {}", site.0));
            }
            if error == 0 {
                missed.push(format!("no error at {}", site.0));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("; "));
}
