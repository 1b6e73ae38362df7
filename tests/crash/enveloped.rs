//! Bodies in envelopes, and the keys of their buckets, whatever the power and the disk do.

use crate::harness::{cuts, errors, places, scripts, seed};

#[test]
fn no_cut_parts_an_envelope_from_its_key() {
    let tally = cuts::some_calls(&scripts::enveloped(), seed(), places(40), None).unwrap();
    println!("enveloped: {} disks", tally.runs);
}

#[test]
fn no_failing_call_parts_an_envelope_from_its_key() {
    let tally = errors::some_changes(&scripts::enveloped(), seed(), places(20), None).unwrap();
    println!("enveloped: {} failing changes", tally.runs);
}
