//! The public face, line by line: `docs/public-api.txt` is what the crate shows, and a change of it must be meant.
//!
//! `cargo test --test public_api` compares, and `OSSICLE_BLESS=1 cargo test --test public_api` writes the file anew.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the snapshot is a file of the source tree, not of a store"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use public_api::PublicApi;

/// All that is promised: `planted-bugs` and `fuzzing` are for our own tests.
const FEATURES: &str = "testing,cli,client-encryption";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documentation as JSON. The stable rustdoc writes it only when told that it is building itself; the
/// rest of the build is not told so, because build scripts would look for nightly features then.
fn rustdoc_json() -> PathBuf {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let rustdoc = scratch.path().join("rustdoc");
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")
        .expect("the wrapper is written");
    fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755)).expect("the wrapper may be run");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    let status = Command::new(env!("CARGO"))
        .current_dir(root())
        .env("RUSTDOC", &rustdoc)
        .args(["rustdoc", "--quiet", "--lib", "--features", FEATURES, "--target-dir"])
        .arg(target)
        .args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo rustdoc: {status}");
    target.join("doc/ossicle.json")
}

/// The trait that a line says is implemented.
fn implemented(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("impl")?.split_once(" for ")?;
    Some(name.rsplit_once(' ').map_or(name, |(_, name)| name.trim_start_matches('!')))
}

/// Traits that the compiler works out by itself and that nobody counts on.
fn is_incidental(name: &str) -> bool {
    ["StructuralPartialEq", "Freeze", "Unpin", "UnsafeUnpin", "RefUnwindSafe", "UnwindSafe"]
        .contains(&name.rsplit("::").next().unwrap_or(name))
}

/// Traits whose calls are known: that they are implemented says it all.
fn is_well_known(name: &str) -> bool {
    ["clone", "cmp", "default", "fmt", "hash"].iter().any(|room| name.starts_with(&format!("core::{room}::")))
}

/// Drops what tells nothing: incidental traits, and the calls of those that are well known.
fn telling(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = false;
    lines
        .filter(|line| {
            let name = implemented(line);
            known = name.is_some_and(is_well_known) || (known && line.starts_with("pub fn "));
            match name {
                Some(name) => !is_incidental(name),
                None => !known,
            }
        })
        .collect()
}

fn face() -> Vec<String> {
    let face: PublicApi = public_api::Builder::from_rustdoc_json(rustdoc_json())
        .omit_blanket_impls(true)
        .build()
        .expect("public-api reads what this rustdoc writes: it does for the Rust of `rust-version`");
    telling(face.items().map(|item| item.to_string()))
}

/// Lines of one that the other does not have.
fn lines_beside<'a>(of: &'a [String], other: &[String]) -> Vec<&'a str> {
    let other: std::collections::BTreeSet<_> = other.iter().collect();
    of.iter().filter(|line| !other.contains(line)).map(String::as_str).collect()
}

#[test]
fn the_public_face_is_the_one_that_was_agreed_on() {
    let snapshot = root().join("docs/public-api.txt");
    let face = face();
    if std::env::var_os("OSSICLE_BLESS").is_some() {
        fs::write(&snapshot, face.join("\n") + "\n").expect("the snapshot is written");
    }
    let agreed: Vec<String> =
        fs::read_to_string(&snapshot).unwrap_or_default().lines().map(String::from).collect();
    let (gone, new) = (lines_beside(&agreed, &face), lines_beside(&face, &agreed));
    assert!(
        agreed == face,
        "the public API is not what docs/public-api.txt says.\ngone:\n  {}\nnew:\n  {}\n\
         If that is meant: OSSICLE_BLESS=1 cargo test --test public_api, commit the file, and tell users in CHANGELOG.md.",
        gone.join("\n  "),
        new.join("\n  ")
    );
}
