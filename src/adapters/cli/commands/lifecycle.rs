//! Lifecycle rules: `lifecycle show|set|clear|preview|run|report|monitor`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::adapters::cli::args::args::{LifecycleCommand, LifecycleSetArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::{format, lifecycle_xml as xml, opening};
use crate::{AccessMonitor, Bucket, Lifecycle, LifecycleCounts, Store};

/// `lifecycle`
pub fn command(store: Option<&Path>, command: &LifecycleCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        LifecycleCommand::Show(args) => show(&read(store, &args.bucket)?.1, out),
        LifecycleCommand::Set(args) => set(store, args),
        LifecycleCommand::Clear(args) => {
            let (store, bucket) = write(store, &args.bucket)?;
            bucket.clear_config::<Lifecycle>()?;
            Ok(store.close()?)
        }
        LifecycleCommand::Preview(args) => {
            let at = args.at.map(|at| match at {
                crate::AsOf::Time(time) => Ok(time),
                _ => Err(Failure::Usage("write a time, such as `2026-02-03`".to_string())),
            });
            preview(&read(store, &args.bucket)?.1, at.transpose()?, out)
        }
        LifecycleCommand::Run(args) => {
            let (store, bucket) = write(store, &args.bucket)?;
            if bucket.config::<Lifecycle>()?.is_none() {
                return Err(no_rules(&bucket));
            }
            let counts = bucket.run_lifecycle()?;
            tell(&counts, out)?;
            Ok(store.close()?)
        }
        LifecycleCommand::Report(args) => report(&read(store, &args.bucket)?.1, out),
        LifecycleCommand::Monitor(args) => match args.state {
            None => {
                let state = read(store, &args.bucket)?.1.config::<AccessMonitor>()?;
                let on = state == Some(AccessMonitor::Enabled);
                writeln!(out, "{}", if on { "enabled" } else { "disabled" })?;
                Ok(())
            }
            Some(state) => {
                let (store, bucket) = write(store, &args.bucket)?;
                bucket.set_config(&state)?;
                Ok(store.close()?)
            }
        },
    }
}

fn read(store: Option<&Path>, name: &str) -> Result<(Store, Bucket), Failure> {
    let store = opening::to_read(store)?;
    let bucket = store.bucket(name)?;
    Ok((store, bucket))
}

fn write(store: Option<&Path>, name: &str) -> Result<(Store, Bucket), Failure> {
    let store = opening::to_write(store)?;
    let bucket = store.bucket(name)?;
    Ok((store, bucket))
}

fn show(bucket: &Bucket, out: &mut dyn Write) -> Result<(), Failure> {
    match bucket.config::<Lifecycle>()? {
        Some(rules) => Ok(write!(out, "{}", xml::write(&rules)?)?),
        None => Err(no_rules(bucket)),
    }
}

fn no_rules(bucket: &Bucket) -> Failure {
    Failure::of(format!("the bucket {} has no lifecycle rules", bucket.name()))
}

fn set(store: Option<&Path>, args: &LifecycleSetArgs) -> Result<(), Failure> {
    let mut text = String::new();
    let about = |error| Failure::about(format::path(&args.file), &error);
    let read = match args.file.as_os_str() == "-" {
        true => io::stdin().lock().take(xml::MAX_BYTES + 1).read_to_string(&mut text),
        false => {
            let file = File::open(&args.file).map_err(about)?;
            file.take(xml::MAX_BYTES + 1).read_to_string(&mut text)
        }
    };
    if read.map_err(about)? as u64 > xml::MAX_BYTES {
        return Err(Failure::of(format!("{} is too long for lifecycle rules", format::path(&args.file))));
    }
    let mut rules = xml::read(&text)?;
    rules.overlap = args.allow_overlap;
    let (store, bucket) = write(store, &args.bucket)?;
    bucket.set_config(&rules)?;
    Ok(store.close()?)
}

fn preview(bucket: &Bucket, at: Option<std::time::SystemTime>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut total = 0;
    for due in bucket.lifecycle_preview(at)? {
        let due = due?;
        let which = match (&due.version, &due.upload) {
            (Some(version), _) => format!("  {version}"),
            (None, Some(upload)) => format!("  {upload}"),
            (None, None) => String::new(),
        };
        let (action, rule) = (due.action.to_string(), format::name(&due.rule));
        writeln!(out, "{action:<18}  {rule}  {}{which}", format::name(&due.key))?;
        total += 1;
    }
    writeln!(out, "{} would be changed", format::counted(total, "thing"))?;
    Ok(())
}

fn report(bucket: &Bucket, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(report) = bucket.lifecycle_report()? else {
        writeln!(out, "no run came to this bucket yet")?;
        return Ok(());
    };
    writeln!(out, "run of       {}", format::moment(report.at))?;
    writeln!(out, "begun        {}", format::moment(report.begun))?;
    let ended = report.ended.map_or_else(|| "still at it".to_string(), format::moment);
    writeln!(out, "ended        {ended}")?;
    tell(&report.counts, out)
}

fn tell(counts: &LifecycleCounts, out: &mut dyn Write) -> Result<(), Failure> {
    for (name, count) in [
        ("looked at", counts.seen),
        ("expired", counts.expired),
        ("removed", counts.removed),
        ("markers", counts.markers),
        ("transitions", counts.transitioned),
        ("returned", counts.returned),
        ("aborted", counts.aborted),
        ("protected", counts.held),
    ] {
        writeln!(out, "{name:<12} {}", format::count(count))?;
    }
    Ok(())
}
