//! The command line tool: one command, one file (or a small family in one).
//!
//! *Owns*: the words of the command line; how trees of files become objects and objects become trees; exit codes.
//! *Promises*:
//! 1. Nothing half: a file comes to be under its name whole or not at all, and so does an object.
//! 2. An export writes nothing outside its directory, whatever the keys say and whatever links lie in the way.
//! 3. What cannot be done is told by name with the reason, the rest goes on, and the exit code says so:
//!    0 done, 1 something failed, 2 the command line was wrong, 130 stopped by Ctrl-C.
//! 4. Memory does not grow with the tree, nor with a file.
//! 5. Standard output has results only; everything else goes to standard error.
//!
//! *Stands on*: the public face.
//! *Never*: touches a file of a store (but for `tour`, which throws away the index of the store that it made);
//! prints to a closed pipe twice.
//! *Read first*: `args/args.rs` (the commands), `transfer/import.rs` and `transfer/import_job.rs`, `transfer/export.rs` and `transfer/safe_dir.rs`,
//! `tour/`.

// The user's files are not the store's: the faulty disk and the virtual clock have no business with them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod address;
mod args;
#[cfg(feature = "client-encryption")]
mod client_key;
#[cfg(not(feature = "client-encryption"))]
#[path = "no_client_key.rs"]
mod client_key;
mod commands;
mod failure;
mod format;
mod key_options;
mod lifecycle_xml;
mod named_keys;
mod opening;
mod progress;
mod report;
mod stop;
mod tour;
mod transfer;
mod wording;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use args::args::{Command, Invocation};
use clap::Parser;
use commands::{
    backup, buckets, budgets, classes, copy, encryption, feed, forks, keys, lifecycle, maintenance, objects,
    tags, versions,
};
use failure::Failure;
use transfer::{export, import};

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let invocation = match Invocation::try_parse() {
        Ok(invocation) => invocation,
        Err(error) => return parted(&error),
    };
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let done = dispatch(invocation, &mut out);
    // What a command has said before it failed is said all the same.
    let flushed = out.flush().map_err(Failure::from);
    match done.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// The door for fuzz targets to the lifecycle rules that somebody hands in: those that a store takes come back as they were.
#[cfg(feature = "fuzzing")]
pub fn fuzz_lifecycle(text: &str) {
    let Ok(rules) = lifecycle_xml::read(text) else { return };
    if rules.check().is_ok() {
        let written = lifecycle_xml::write(&rules).expect("rules that a store takes can be written");
        assert_eq!(lifecycle_xml::read(&written).ok().as_ref(), Some(&rules), "{written}");
    }
}

fn dispatch(invocation: Invocation, out: &mut dyn Write) -> Result<(), Failure> {
    key_options::choose(&invocation)?;
    named_keys::choose(&invocation.kms_keys);
    let store = invocation.store.as_deref();
    match invocation.command {
        Command::Mb(args) => buckets::make(store, &args, out),
        Command::Rb(args) => buckets::remove(store, &args, out),
        Command::Ls(args) => buckets::list(store, &args, out),
        Command::Du(args) => buckets::usage(store, &args, out),
        Command::Put(args) => objects::put(store, &args, out),
        Command::Get(args) => objects::get(store, &args, out),
        Command::Cat(args) => objects::cat(store, &args, out),
        Command::Rm(args) => objects::remove(store, &args, out),
        Command::Stat(args) => objects::stat(store, &args, out),
        Command::Cp(args) => copy::copy(store, &args, out),
        Command::Mv(args) => copy::rename(store, &args, out),
        Command::Tag(args) => tags::command(store, &args, out),
        Command::Class(args) => classes::class(store, &args, out),
        Command::Tier(args) => classes::tier(store, &args, out),
        Command::Restore(args) => classes::restore(store, &args, out),
        Command::Versioning(args) => versions::versioning(store, &args, out),
        Command::Versions(args) => versions::list(store, &args, out),
        Command::Undelete(args) => versions::undelete(store, &args, out),
        Command::Fork(args) => forks::fork(store, &args, out),
        Command::Diff(args) => forks::diff(store, &args, out),
        Command::History(args) => versions::history(store, &args, out),
        Command::Lifecycle { command } => lifecycle::command(store, &command, out),
        Command::Encryption { command } => encryption::command(store, &command, out),
        Command::Budget { command } => budgets::command(store, &command, out),
        Command::Pin(args) => budgets::pin(store, &args, true),
        Command::Unpin(args) => budgets::pin(store, &args, false),
        Command::Keep(args) => budgets::keep(store, &args, out),
        Command::Import(args) => import::command(store, &args, out),
        Command::Export(args) => export::command(store, &args, out),
        Command::Feed(args) => feed::command(store, &args, out),
        Command::Verify => maintenance::verify(store, out),
        Command::Compact => maintenance::compact(store, out),
        Command::Info => maintenance::info(store, out),
        Command::Key(command) => keys::command(store, &command, out),
        Command::Backup(args) => backup::backup(&args, out),
        Command::RestoreBackup(args) => backup::restore(&args, out),
        Command::Salvage(args) => backup::salvage(&args, out),
        Command::Tour(args) => tour::command(store, &args, out),
    }
}

/// Help and version go to standard output; a wrong command line is a sentence and exit code 2.
fn parted(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.render().to_string();
    Failure::Usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_string()).tell()
}
