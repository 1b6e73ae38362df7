//! Superblock slots and segment headers: whatever the bytes, a value that comes back or a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    ossicle::fuzzing::superblock(bytes);
    ossicle::fuzzing::segment_header(bytes);
});
