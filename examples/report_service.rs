//! A service that stores reports, tested with a disk that fails: power cuts at every call, and a full disk.
//!
//! Run it with `cargo run --features testing --example report_service`. The faulty disk is in memory.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use ossicle::testing::{CutPolicy, Fault, FaultyDisk};
use ossicle::{Maintenance, Settings, Store, Vfs};

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The service under test: it stores reports and keeps a count of them.
struct Reports(Store);

impl Reports {
    /// A real service opens a path; a test passes the file system too.
    fn open(disk: Arc<dyn Vfs>) -> ossicle::Result<Reports> {
        let settings = Settings { segment_size: 1 << 20, ..Settings::default() };
        // Without a maintenance thread each run makes the same calls in the same order.
        let store = Store::builder("/reports")
            .vfs(disk)
            .settings(settings)
            .maintenance(Maintenance::Manual)
            .open()?;
        store.create_bucket_if_missing("reports")?;
        Ok(Reports(store))
    }

    /// Stores a report and counts it, in one commit.
    fn submit(&self, name: &str, text: &str) -> ossicle::Result<()> {
        let reports = self.0.bucket("reports")?;
        self.0.write(|tx| {
            let count = count(tx.row("reports", b"count")?.as_deref());
            tx.put(&reports, name, text)?;
            tx.put_row("reports", b"count", &(count + 1).to_be_bytes())
        })
    }

    /// What must hold at any time: the count is the number of reports. Returns it.
    fn check(&self) -> ossicle::Result<u64> {
        let counted = count(self.0.row("reports", b"count")?.as_deref());
        assert_eq!(counted, self.0.bucket("reports")?.usage("")?.objects, "the count and the reports differ");
        assert!(self.0.verify()?.is_clean());
        Ok(counted)
    }
}

fn count(row: Option<&[u8]>) -> u64 {
    row.map_or(0, |row| u64::from_be_bytes(row.try_into().expect("this program writes eight bytes")))
}

/// Cuts the power at each call that changes the disk, and fills the disk up.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // One run without faults counts the calls.
    let disk = FaultyDisk::new(1);
    let accepted = session(&disk);
    assert_eq!(accepted, 5);
    let calls = disk.operations();

    let mut cuts = 0;
    for call in 0..calls {
        // The seed makes every run the same, so a failure can be repeated.
        let disk = FaultyDisk::new(1);
        disk.fail_at(call, Fault::PowerCut);
        let accepted = session(&disk);
        // Each write that was not synced may have reached the disk or not; `Subset` chooses by the seed.
        for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll, CutPolicy::Subset(call)] {
            let found = Reports::open(disk.restart(policy).vfs())?.check()?;
            // What was acknowledged is there. One report more may be: it was written, but not acknowledged.
            assert!(
                found == accepted || found == accepted + 1,
                "{found} of {accepted} after a cut at {call}"
            );
            cuts += 1;
        }
    }
    assert!(cuts > 50);
    writeln!(out, "every power cut kept what was acknowledged")?;

    // A full disk refuses the write and keeps the store usable.
    let disk = FaultyDisk::new(1);
    let reports = Reports::open(disk.vfs())?;
    reports.submit("first", "all is well")?;
    disk.set_capacity(Some(disk.used()));
    let large = "long ".repeat(2_000_000);
    let error = reports.submit("large", &large).expect_err("there is no room for it");
    writeln!(out, "a full disk says {}, and reports stay readable: {}", error.code(), reports.check()?)?;
    disk.set_capacity(None);
    reports.submit("large", &large)?;
    writeln!(out, "with room again there are {}", reports.check()?)?;
    Ok(())
}

/// Submits five reports, and returns how many the service acknowledged before the disk failed.
fn session(disk: &FaultyDisk) -> u64 {
    let Ok(reports) = Reports::open(disk.vfs()) else { return 0 };
    let submitted = (0..5).take_while(|n| reports.submit(&format!("report {n}"), "all is well").is_ok());
    submitted.count() as u64
}
