//! Records, commits, entries and rows: whatever the bytes, a value that comes back or a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    ossicle::fuzzing::record(bytes);
    ossicle::fuzzing::coded(bytes);
    ossicle::fuzzing::entry(bytes);
    ossicle::fuzzing::row(bytes);
});
