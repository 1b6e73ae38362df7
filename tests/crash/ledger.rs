//! The ledger of faults: every site is called, and power cuts and errors have struck wherever something changes.

use std::io::ErrorKind;

use ossicle::Site;
use ossicle::testing::{CutPolicy, Fault};

use crate::harness::run::{Weather, calm, run};
use crate::harness::world::{SEALED, World};
use crate::harness::{Tally, aftermath, effort, full, nested, places, scripts, seed};

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
    let plain = scripts::all().into_iter().map(|script| (script, seed()));
    for (script, seed) in plain.chain([(scripts::shreds(), seed() | SEALED)]) {
        // One cut and one failing call at each site that the script comes by, in the middle of its calls there.
        let (world, _) = calm(&script, seed, None).unwrap();
        tally.add(&world.disk);
        for (site, calls) in world.disk.calls().into_iter().filter(|(site, _)| !READING.contains(site)) {
            for (name, weather, fault) in [
                ("power-cut", Weather::Cut, Fault::PowerCut),
                ("error", Weather::Failing, Fault::Error(ErrorKind::Other)),
            ] {
                if tally.hits.get(&(site.0, name)).is_some_and(|hits| *hits >= places(2)) {
                    continue;
                }
                let struck = World::new(seed, None);
                struck.disk.fail_site(site, calls / 2, fault);
                let run = run(&struck, &script, weather);
                let run =
                    run.unwrap_or_else(|wrong| panic!("{}, {fault:?} at {site:?}: {wrong}", script.name));
                tally.add(&struck.disk);
                if weather == Weather::Failing {
                    struck.disk.clear_faults();
                }
                let after = struck.restart(CutPolicy::DropUnsynced);
                aftermath::check(&after, &run.allowed())
                    .unwrap_or_else(|wrong| panic!("{}, {fault:?} at {site:?}: {wrong}", script.name));
                tally.add(&after.disk);
            }
        }
    }
    for script in [scripts::first_steps(), scripts::streamed_buffered()] {
        tally.join(full::every_capacity(&script, seed(), effort::of(32 << 10, 4 << 10), None).unwrap());
        tally.join(nested::every_recovery(&script, seed(), effort::of(37, 7), 1, None).unwrap());
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
