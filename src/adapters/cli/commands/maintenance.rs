//! The store as a whole: `verify`, `compact`, `info`.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::adapters::cli::failure::{Failure, say};
use crate::adapters::cli::progress::Progress;
use crate::adapters::cli::wording::translated;
use crate::adapters::cli::{format, opening, stop};
use crate::{CompactOptions, Problem, Store, VerifyOptions, VerifyReport};

/// `verify`
pub fn verify(store: Option<&Path>, out: &mut dyn Write) -> Result<(), Failure> {
    let opened = opening::to_read(store)?;
    stop::listen();
    let begun = Instant::now();
    let report = verified(&opened)?;
    for problem in &report.problems {
        writeln!(out, "{}", format::name(&translated(&problem.reason)))?;
    }
    let unlisted = report.problem_count - report.problems.len() as u64;
    if unlisted > 0 {
        writeln!(out, "and {} more", format::counted(unlisted, "problem"))?;
    }
    writeln!(
        out,
        "read {} of bodies in {} entries, {} of the log and {} of the index in {}: {}",
        format::bytes(report.body_bytes),
        format::count(report.entries),
        format::counted(report.records, "record"),
        format::counted(report.pages, "page"),
        format::time(begun.elapsed()),
        if report.stopped { "stopped before the end".to_string() } else { verdict(&report) },
    )?;
    out.flush()?;
    if report.stopped {
        return Err(Failure::Stopped);
    }
    if report.problem_count > 0 {
        let path = format::quoted(opening::place(store)?);
        say(&if is_in_index(&report) {
            format!(
                "only the index is damaged, and it is made again from the log: while nothing has the store open, run \
                 `rm -f {path}/index.tree {path}/index.alt.tree`, then verify again"
            )
        } else {
            format!("`ossicle salvage {path} NEWDIR` writes what can be read into a new store")
        });
    }
    if report.is_clean() { Ok(()) } else { Err(Failure::Told) }
}

fn verdict(report: &VerifyReport) -> String {
    if report.problem_count == 0 {
        "clean".to_string()
    } else {
        format::counted(report.problem_count, "problem")
    }
}

/// Verifies with a bar on the terminal.
pub fn verified(store: &Store) -> Result<VerifyReport, Failure> {
    // What cannot be counted is told by the verification itself.
    let progress = Progress::begin("reading", store.usage().ok().map(|usage| usage.bytes));
    let mut seen = (0, 0);
    let report = store.verify_with(VerifyOptions::new().progress(|now| {
        // The counters are sums; the bar takes steps.
        (seen.0..now.entries).for_each(|_| progress.thing());
        progress.bytes(now.body_bytes.saturating_sub(seen.1));
        seen = (seen.0.max(now.entries), seen.1.max(now.body_bytes));
        !stop::asked()
    }))?;
    progress.end();
    Ok(report)
}

/// Whether nothing but the index is damaged, as far as that was told.
fn is_in_index(report: &VerifyReport) -> bool {
    let is_listed = report.problem_count == report.problems.len() as u64;
    let names_index = |problem: &Problem| {
        problem.reason.contains("/index.tree is damaged")
            || problem.reason.contains("/index.alt.tree is damaged")
    };
    is_listed && report.problems.iter().all(names_index)
}

/// `compact`
pub fn compact(store: Option<&Path>, out: &mut dyn Write) -> Result<(), Failure> {
    let store = opening::to_write(store)?;
    let (begun, before) = (Instant::now(), store.stats().disk_bytes);
    let report = store.compact(CompactOptions::new())?;
    let after = store.stats().disk_bytes;
    writeln!(
        out,
        "the store took {} of disk and takes {} now; {} moved in {}",
        format::bytes(before),
        format::bytes(after),
        format::bytes(report.relocated),
        format::time(begun.elapsed()),
    )?;
    if let Err(error) = store.close() {
        say(&error.to_string());
        return Err(Failure::Told);
    }
    Ok(())
}

/// `info`
pub fn info(store: Option<&Path>, out: &mut dyn Write) -> Result<(), Failure> {
    let path = opening::place(store)?;
    let begun = Instant::now();
    let opened = opening::to_read(store)?;
    let took = begun.elapsed();
    let (stats, usage) = (opened.stats(), opened.usage()?);
    let mut buckets = 0;
    for bucket in opened.buckets()? {
        bucket?;
        buckets += 1;
    }
    let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    writeln!(out, "path        {}", format::path(&full))?;
    writeln!(out, "opened in   {}", format::time(took))?;
    writeln!(out, "buckets     {}", format::count(buckets))?;
    writeln!(out, "objects     {}", format::count(usage.objects))?;
    writeln!(out, "bytes       {} ({})", usage.bytes, format::bytes(usage.bytes))?;
    for (class, objects, bytes) in &usage.classes {
        let objects = format::counted(*objects, "object");
        writeln!(out, "  {:<10}{objects}, {}", class.to_string(), format::bytes(*bytes))?;
    }
    writeln!(out, "disk        {} ({})", stats.disk_bytes, format::bytes(stats.disk_bytes))?;
    writeln!(
        out,
        "segments    {}, {} of them live",
        format::count(stats.segments),
        format::bytes(stats.live_bytes)
    )?;
    writeln!(out, "last commit {}", stats.lsn.0)?;
    writeln!(out, "to replay   {} of log after a crash now", format::bytes(stats.log_since_checkpoint))?;
    Ok(())
}
