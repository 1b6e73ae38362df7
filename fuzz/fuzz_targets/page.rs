//! Index pages: whatever the bytes, cells that can be written again or a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ossicle::fuzzing::page(bytes));
