//! Bodies much larger than the memory that they may take.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};

use ossicle::{Body, Durability, PutOptions, ReadMode, Settings, Store};

use crate::{argument, in_another_process};

const LEN: u64 = 200 << 20;
const GROWTH: u64 = 64 << 20;

/// A line of this process's status, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|each| each.strip_prefix(line)).unwrap();
    found.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Bytes that are the same whenever they are made, and all different.
struct Pattern {
    at: u64,
    peak: u64,
    line: &'static str,
}

impl Pattern {
    fn new(line: &'static str) -> Pattern {
        Pattern { at: 0, peak: 0, line }
    }

    fn fill(at: u64, buf: &mut [u8]) {
        for (offset, byte) in buf.iter_mut().enumerate() {
            let at = at + offset as u64;
            *byte = (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
        }
    }

    fn watch(&mut self) {
        self.peak = self.peak.max(memory(self.line));
    }
}

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.at.is_multiple_of(16 << 20) {
            self.watch();
        }
        // Steps that divide the distance between two looks at the memory.
        let most = (64 << 10).min(buf.len()).min((LEN - self.at) as usize);
        Pattern::fill(self.at, &mut buf[..most]);
        self.at += most as u64;
        Ok(most)
    }
}

fn check(mut object: ossicle::Object, line: &'static str) -> u64 {
    let (mut got, mut expected) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let (mut at, mut peak) = (0, 0);
    while at < LEN {
        object.read_exact(&mut got).unwrap();
        Pattern::fill(at, &mut expected);
        assert!(got == expected, "wrong bytes at {at}");
        at += got.len() as u64;
        if at.is_multiple_of(16 << 20) {
            peak = peak.max(memory(line));
        }
    }
    assert_eq!(object.read(&mut got).unwrap(), 0);
    peak
}

/// In a process of its own, so that the memory is this test's alone.
#[test]
fn two_hundred_megabytes_pass_through_a_fraction_of_the_memory() {
    let name = "streaming::two_hundred_megabytes_pass_through_a_fraction_of_the_memory";
    let Some(mode) = argument() else {
        in_another_process(name, "mapped");
        return in_another_process(name, "positioned");
    };
    // Mapped pages of a file count as resident but are the system's to take back at any time.
    let (read_mode, line) = match mode.as_str() {
        "mapped" => (ReadMode::Mapped, "RssAnon"),
        _ => (ReadMode::Positioned, "VmRSS"),
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { read_mode, ..Settings::default() };
    let store = Store::builder(dir.path()).settings(settings).open().unwrap();
    let bucket = store.create_bucket("films").unwrap();
    let before = memory(line);
    let within =
        |peak: u64| assert!(peak < before + GROWTH, "{} MiB more", peak.saturating_sub(before) >> 20);
    let options = || PutOptions::new().durability(Durability::Buffered);

    let mut pattern = Pattern::new(line);
    bucket.put_with("put", Body::reader(&mut pattern), options()).unwrap();
    assert_eq!(pattern.at, LEN);
    within(pattern.peak);
    within(check(bucket.get("put").unwrap(), line));

    let mut writer = bucket.writer("written", options()).unwrap();
    let mut piece = vec![0; 1 << 20];
    while writer.written() < LEN {
        Pattern::fill(writer.written(), &mut piece);
        writer.write_all(&piece).unwrap();
        within(memory(line));
    }
    let written = writer.finish().unwrap();
    assert_eq!(written.etag, bucket.head("put").unwrap().etag);
    bucket.delete("put").unwrap();
    bucket.rename("written", "moved").unwrap();
    bucket.copy("moved", "copied").unwrap();
    within(memory(line));
    bucket.delete("moved").unwrap();
    store.compact(Default::default()).unwrap();
    within(memory(line));
    within(check(bucket.get("copied").unwrap(), line));
    assert!(store.verify().unwrap().is_clean());
    within(memory(line));
}
