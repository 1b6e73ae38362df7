//! Copies of a store as a whole: `backup`, `restore-backup`, `salvage`.

use std::io::Write;
use std::time::Instant;

use crate::adapters::cli::args::args::{BackupArgs, RestoreBackupArgs, SalvageArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::progress::Progress;
use crate::adapters::cli::wording::translated;
use crate::adapters::cli::{format, key_options, opening, stop};
use crate::{
    BackupOptions, BackupProgress, ErrorKind, RestoreBackupOptions, SalvageNote, SalvageOptions, Store,
};

/// Takes the counters, which are sums, to a bar, which takes steps.
struct Steps<'a> {
    progress: &'a Progress,
    things: u64,
    bytes: u64,
}

impl<'a> Steps<'a> {
    fn new(progress: &'a Progress) -> Steps<'a> {
        Steps { progress, things: 0, bytes: 0 }
    }

    fn reach(&mut self, things: u64, bytes: u64) -> bool {
        (self.things..things).for_each(|_| self.progress.thing());
        self.progress.bytes(bytes.saturating_sub(self.bytes));
        (self.things, self.bytes) = (self.things.max(things), self.bytes.max(bytes));
        !stop::asked()
    }

    fn reach_copied(&mut self, now: BackupProgress) -> bool {
        self.reach(now.files, now.bytes_copied)
    }
}

/// `backup`
pub fn backup(args: &BackupArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_write(Some(&args.source))?;
    stop::listen();
    let begun = Instant::now();
    let progress = Progress::begin("copying", None);
    let mut steps = Steps::new(&progress);
    let options = BackupOptions::new().progress(|now| steps.reach_copied(now));
    let report = store.backup_with(&args.target, options);
    progress.end();
    let report = report?;
    if report.stopped {
        writeln!(out, "stopped; the backup before is as it was, and the same command goes on from here")?;
        return Err(Failure::Stopped);
    }
    writeln!(
        out,
        "backed up to commit {} in {}: copied {} in {}, kept {} in {}, removed {}",
        report.lsn,
        format::time(begun.elapsed()),
        format::bytes(report.bytes_copied),
        format::counted(report.files_copied, "segment"),
        format::bytes(report.bytes_kept),
        format::count(report.files_kept),
        format::count(report.files_removed),
    )?;
    out.flush()?;
    store.close().map_err(Failure::from)
}

/// `restore-backup`
pub fn restore(args: &RestoreBackupArgs, out: &mut dyn Write) -> Result<(), Failure> {
    stop::listen();
    let begun = Instant::now();
    let progress = Progress::begin("copying", None);
    let mut steps = Steps::new(&progress);
    let report = key_options::unlocked(|| {
        let options =
            key_options::restore(RestoreBackupOptions::new())?.progress(|now| steps.reach_copied(now));
        Ok(Store::restore_with(&args.backup, &args.target, options))
    })?;
    progress.end();
    let report = report.map_err(|error| match error.kind() {
        ErrorKind::Corrupt => opening::explained(&args.backup, error),
        _ => Failure::from(error),
    })?;
    if report.stopped {
        writeln!(out, "stopped; what lies in {} is no store", format::path(&args.target))?;
        return Err(Failure::Stopped);
    }
    writeln!(
        out,
        "restored commit {} in {}: {} in {}, {} read and found right",
        report.lsn,
        format::time(begun.elapsed()),
        format::bytes(report.bytes),
        format::counted(report.files, "segment"),
        if report.entries == 1 {
            "1 entry".to_string()
        } else {
            format!("{} entries", format::count(report.entries))
        },
    )?;
    Ok(())
}

/// `salvage`
pub fn salvage(args: &SalvageArgs, out: &mut dyn Write) -> Result<(), Failure> {
    stop::listen();
    let begun = Instant::now();
    let progress = Progress::begin("saving", None);
    let mut steps = Steps::new(&progress);
    let report = key_options::unlocked(|| {
        let options =
            key_options::salvage(SalvageOptions::new())?.progress(|now| steps.reach(now.saved, now.bytes));
        Ok(Store::salvage_with(&args.damaged, &args.target, options))
    })?;
    progress.end();
    let report = report?;
    for file in &report.damaged {
        writeln!(out, "damaged  {}: {}", format::path(&file.path), format::name(&translated(&file.reason)))?;
    }
    tell(out, "made", &report.made, report.made.len() as u64)?;
    tell(out, "older", &report.doubtful, report.doubtful_count)?;
    tell(out, "lost", &report.lost, report.lost_count)?;
    if report.uncertain {
        writeln!(
            out,
            "unknown  a part of the log is lost; what was written there is not known and not counted"
        )?;
    }
    writeln!(
        out,
        "saved {} with {} of bodies in {}, {} of them in an older state; lost {}; {}",
        format::count(report.saved),
        format::bytes(report.bytes),
        format::time(begun.elapsed()),
        format::count(report.doubtful_count),
        format::count(report.lost_count),
        format::counted(report.damaged.len() as u64, "damaged file"),
    )?;
    out.flush()?;
    if report.stopped {
        return Err(Failure::Stopped);
    }
    if report.is_whole() { Ok(()) } else { Err(Failure::Told) }
}

fn tell(out: &mut dyn Write, what: &str, notes: &[SalvageNote], count: u64) -> Result<(), Failure> {
    for note in notes {
        writeln!(out, "{what:<8} {}: {}", format::name(&note.name), format::name(&translated(&note.reason)))?;
    }
    if count > notes.len() as u64 {
        writeln!(out, "{what:<8} and {} more", format::count(count - notes.len() as u64))?;
    }
    Ok(())
}
