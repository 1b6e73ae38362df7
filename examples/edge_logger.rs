//! A logger on a small device: a budget keeps the newest readings and deletes those that were sent on.
//!
//! Run it with `cargo run --example edge_logger`.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use ossicle::{Budget, Durability, ErrorKind, EvictBy, PutOptions, Store};

/// Bytes of readings that the device keeps. A real device would use megabytes.
const BUDGET: u64 = 10_000;
/// Bytes of one reading.
const READING: usize = 900;

fn main() -> Result<(), Box<dyn Error>> {
    let directory =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("edge-logger.store"), PathBuf::from);
    run(&directory, &mut std::io::stdout())
}

/// Records readings while the network is up, then while it is down, then while it is up again.
pub fn run(directory: &Path, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let store = Store::open(directory)?;
    let readings = store.create_bucket_if_missing("readings")?;
    // When the budget is reached, a write deletes the objects that were accessed longest ago, in its own commit.
    // Headroom is what maintenance frees in advance; 0 makes this example predictable.
    readings.set_config(&Budget::bytes(BUDGET).order([EvictBy::OldestAccess]).headroom(0))?;
    // Settings are pinned: they are never evicted, however old they get.
    readings.put_with("config", "every 10 seconds", PutOptions::new().pinned(true))?;

    // An object marked as not replicated is never evicted either. A new reading starts that way.
    let record = |name: &str| {
        let options = PutOptions::new().replicated(false).durability(Durability::Buffered);
        readings.put_with(name, vec![b'r'; READING], options)
    };

    // The network is up: each reading is uploaded, then marked as replicated, which makes it evictable.
    for n in 0..100 {
        let name = format!("reading/{n:04}");
        record(&name)?;
        // (The upload to the server belongs here.)
        readings.set_replicated(&name, true)?;
    }
    writeln!(out, "after 100 readings: {} bytes used of {BUDGET}", readings.usage("")?.stored_bytes())?;
    assert!(readings.exists("reading/0099")? && !readings.exists("reading/0000")?);

    // The network is down: once only readings that nobody else has are left, writing is refused. Nothing is lost.
    let mut waiting = Vec::new();
    let refused = loop {
        let name = format!("reading/{:04}", 100 + waiting.len());
        match record(&name) {
            Ok(_) => waiting.push(name),
            Err(error) if error.kind() == ErrorKind::Quota => break error,
            Err(error) => return Err(error.into()),
        }
    };
    writeln!(out, "without a network: {} readings wait, then {}", waiting.len(), refused.code())?;

    // The network is back: what was sent is marked, and there is room again.
    for name in &waiting {
        readings.set_replicated(name, true)?;
    }
    record("reading/9999")?;
    readings.set_replicated("reading/9999", true)?;
    writeln!(out, "with the network again: recorded reading/9999")?;

    // Buffered writes survive the end of the process. `flush` makes them survive a power cut as well.
    store.flush()?;
    assert!(readings.exists("config")?);
    store.close()?;
    Ok(())
}
