//! A job queue on the change feed: a worker that loses no job and does none twice, whenever it is stopped.
//!
//! Run it with `cargo run --example job_queue`.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ossicle::{Bucket, Change, ChangeOp, Lsn, Store};

/// The name under which the store keeps the worker's position in the feed.
const CURSOR: &str = "worker";

fn main() -> Result<(), Box<dyn Error>> {
    let directory =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("job-queue.store"), PathBuf::from);
    run(&directory, &mut std::io::stdout())
}

/// Enqueues four jobs, lets a worker stop after two of them, and lets a second worker continue.
pub fn run(directory: &Path, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let store = Store::open(directory)?;
    let jobs = store.create_bucket_if_missing("jobs")?;
    let results = store.create_bucket_if_missing("results")?;
    if store.cursor(CURSOR)?.is_none() {
        // While a cursor exists, the store keeps the log behind it, up to `Settings::feed_bytes`.
        store.set_cursor(CURSOR, Lsn(0))?;
    }

    for job in ["resize/cat.jpg", "resize/dog.jpg", "print/letter.txt", "print/poster.txt"] {
        jobs.put(job, format!("do {job}"))?;
    }

    // The first worker stops early, as if its process had been killed.
    let done = work(&store, &results, 2, out)?;
    writeln!(out, "first worker: {done} jobs")?;
    // The second one starts at the stored position.
    let done = work(&store, &results, usize::MAX, out)?;
    writeln!(out, "second worker: {done} jobs")?;
    // There is nothing left for a third.
    let done = work(&store, &results, usize::MAX, out)?;
    writeln!(out, "third worker: {done} jobs")?;
    writeln!(out, "{} results", results.usage("")?.objects)?;
    store.close()?;
    Ok(())
}

/// Works on the feed until it is exhausted or `at_most` jobs are done. Returns how many were done.
fn work(
    store: &Store,
    results: &Bucket,
    at_most: usize,
    out: &mut dyn Write,
) -> Result<usize, Box<dyn Error>> {
    let after = store.cursor(CURSOR)?.ok_or("the cursor was removed")?;
    let mut feed = store.changes(after)?;
    let mut done = 0;
    while done < at_most {
        // A worker that runs forever would wait here for new commits; this one does not wait.
        let Some(change) = feed.next() else {
            if feed.wait(Duration::ZERO)? {
                continue;
            }
            break;
        };
        let change = change?;
        let jobs = jobs_of(&change);
        for job in &jobs {
            writeln!(out, "  {job}")?;
        }
        if jobs.is_empty() {
            // Commits of other buckets, and the worker's own results, are skipped.
            continue;
        }
        // The results and the new position are one commit, so a job is never done twice and never skipped.
        store.write(|tx| {
            for job in &jobs {
                tx.put(results, job, format!("done: {job}"))?;
            }
            tx.set_cursor(CURSOR, change.lsn)
        })?;
        done += jobs.len();
    }
    Ok(done)
}

/// The names of the jobs that a commit added.
fn jobs_of(change: &Change) -> Vec<String> {
    let added = change.ops.iter().filter_map(|op| match op {
        ChangeOp::Put { bucket, key, .. } if bucket.as_str() == "jobs" => Some(key.to_string()),
        _ => None,
    });
    added.collect()
}
