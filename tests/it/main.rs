//! Behaviour of the public face, one module a theme.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test looks at the store's directory and its own process from outside"
)]

mod api_shape;
mod append;
mod attributes;
mod backup;
mod bad_input;
mod bad_stores;
mod buckets;
mod budget;
mod classes;
#[cfg(feature = "client-encryption")]
mod client_encryption;
mod client_encryption_rules;
mod compacting;
mod conditions;
mod copy_rename;
mod copying;
mod defaults;
mod delete;
mod density;
mod descending;
mod descriptors;
#[path = "../effort/mod.rs"]
mod effort;
mod encryption;
mod envelopes;
mod failed_writes;
mod feed;
mod forked;
mod get;
mod identity;
mod idle;
mod lifecycle;
mod lifecycle_access;
mod lifecycle_agree;
mod lifecycle_clock;
mod lifecycle_days;
mod lifecycle_rules;
mod lifecycle_since;
mod limits;
mod list;
mod lived_in;
mod multipart;
mod names;
mod permissions;
mod put;
mod ranges;
mod readers;
mod rebuild;
mod regressions_engine;
mod regressions_semantics;
mod restore;
mod rows;
mod salvage;
mod sharing;
mod shredding;
mod small_store;
mod smoke;
mod snapshots;
mod spaces;
mod streaming;
mod symlinks;
mod tier_trouble;
mod tiers;
mod transactions;
mod transactions_that_reach;
mod undelete;
mod unplugged;
mod upkeep;
mod usage;
mod versioning;
mod worm;
mod zero_copy;

use ossicle::{Bucket, Error, Object, Result, Store};

/// A store in memory with one bucket.
fn a_bucket() -> (Store, Bucket) {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    (store, bucket)
}

/// The bytes under a key.
fn read(bucket: &Bucket, key: &str) -> Vec<u8> {
    bucket.get(key).and_then(Object::bytes).unwrap().to_vec()
}

/// The code of the error that must have come.
#[track_caller]
fn code<T: std::fmt::Debug>(answer: Result<T>) -> &'static str {
    let error = answer.unwrap_err();
    assert_reads_well(&error);
    error.code()
}

/// An error is one sentence on one line, and never the name of a type.
#[track_caller]
fn assert_reads_well(error: &Error) {
    let told = error.to_string();
    let goes_on = told.match_indices(". ").any(|(at, _)| told[at + 2..].starts_with(char::is_uppercase));
    let one_sentence = !told.contains('\n') && !told.ends_with('.') && !goes_on;
    assert!(one_sentence && told.len() > 15 && told.contains(' '), "{told:?}");
}

/// Runs one test of this binary again in a process of its own, with `argument` in its environment.
/// The test itself asks [`argument`] which of the two it is.
fn in_another_process(test: &str, argument: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ARGUMENT, argument)
        .output()
        .unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

const ARGUMENT: &str = "OSSICLE_TEST_ARGUMENT";

/// What this process was started with by [`in_another_process`]; `None` in the first one.
fn argument() -> Option<String> {
    std::env::var(ARGUMENT).ok()
}
