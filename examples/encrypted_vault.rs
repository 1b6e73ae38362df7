//! An encrypted vault: a passphrase opens it, can be changed at once, and letters can be destroyed for good.
//!
//! Run it with `cargo run --release --example encrypted_vault`; deriving a key from a passphrase is slow on purpose.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use ossicle::{ErrorKind, Passphrase, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("vault.store"), PathBuf::from);
    run(&directory, &mut std::io::stdout(), Passphrase::new)
}

/// Writes letters into a vault, changes its passphrase and back, and shreds one letter.
///
/// `passphrase` makes a key provider out of a text. Tests pass one that derives keys with less work.
pub fn run(
    directory: &Path,
    out: &mut dyn Write,
    passphrase: impl Fn(&'static str) -> Passphrase,
) -> Result<(), Box<dyn Error>> {
    // A store that is created with a key provider is encrypted as a whole: names and metadata as well as bodies.
    let first = "correct horse battery staple";
    let second = "nine purple elephants";
    let store = Store::builder(directory).key_provider(passphrase(first)).open()?;
    let letters = store.create_bucket_if_missing("letters")?;
    letters.put("to-ann", "Dear Ann, nobody else can read this.")?;
    letters.put("to-bob", "Dear Bob, burn this.")?;
    writeln!(out, "the vault holds {} letters", letters.usage("")?.objects)?;

    // The whole store is encrypted with a key of its own, and the passphrase only wraps that key, so a new passphrase
    // costs one small write.
    store.rotate_key(passphrase(second))?;
    store.close()?;

    match Store::builder(directory).key_provider(passphrase(first)).open() {
        Err(error) if error.kind() == ErrorKind::Denied => {
            writeln!(out, "the old passphrase: {}", error.code())?
        }
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("the old passphrase must not open the vault".into()),
    }
    match Store::open(directory) {
        Err(error) if error.kind() == ErrorKind::Denied => writeln!(out, "no passphrase: {}", error.code())?,
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("the vault must not open without a passphrase".into()),
    }

    let store = Store::builder(directory).key_provider(passphrase(second)).open()?;
    let letters = store.bucket("letters")?;
    writeln!(out, "the new passphrase reads: {}", std::str::from_utf8(&letters.get("to-ann")?.bytes()?)?)?;

    // Deleting frees space when maintenance gets to it. Shredding returns only when no key opens the bytes any more,
    // not even in an old copy of one of the segment files. Backups of the directory are not reached.
    let shredded = letters.shred("to-bob")?;
    writeln!(
        out,
        "shredded {} letter, {} other objects share its body",
        shredded.objects, shredded.shared_objects
    )?;
    writeln!(out, "to-bob exists: {}", letters.exists("to-bob")?)?;

    // Back to the first passphrase, so that the example can be run again.
    store.rotate_key(passphrase(first))?;
    store.close()?;
    Ok(())
}
