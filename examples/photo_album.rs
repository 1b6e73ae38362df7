//! A photo album: a picture and its place in the album are stored in one transaction.
//!
//! Run it with `cargo run --example photo_album`. A second run adds nothing twice.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use ossicle::{Bucket, ErrorKind, Store, Transaction};

fn main() -> Result<(), Box<dyn Error>> {
    // The directory of the store; it is created if it does not exist.
    let directory =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("photo-album.store"), PathBuf::from);
    run(&directory, &mut std::io::stdout())
}

/// Opens the album, adds pictures, and prints what it holds.
pub fn run(directory: &Path, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let store = Store::open(directory)?;
    // Unlike `create_bucket`, this also succeeds if the bucket exists.
    let photos = store.create_bucket_if_missing("photos")?;
    let thumbnails = store.create_bucket_if_missing("thumbnails")?;

    for (name, pixels) in
        [("2026/beach.jpg", "sand and sea"), ("2026/cat.jpg", "a cat"), ("2027/snow.jpg", "white")]
    {
        let number = store.write(|tx| add(tx, &photos, &thumbnails, name, pixels))?;
        writeln!(out, "{name} is number {number}")?;
    }

    // The closure of a transaction returns an error here, so nothing of it is stored, the picture included.
    let failed = store.write(|tx| {
        tx.put(&photos, "2027/broken.jpg", "half a picture")?;
        tx.get(&photos, "2027/no-such-picture.jpg").map(drop)
    });
    match failed {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            writeln!(out, "the broken import left nothing behind")?
        }
        other => other?,
    }
    assert!(!photos.exists("2027/broken.jpg")?);

    // Listings are sorted by key. A prefix reads only the keys that start with it.
    writeln!(out, "pictures of 2026:")?;
    for entry in photos.list("2026/")? {
        writeln!(out, "  {}", entry?.name())?;
    }
    // `usage` counts the objects below a prefix without reading them.
    let usage = photos.usage("")?;
    writeln!(out, "{} pictures, {} thumbnails", usage.objects, thumbnails.usage("")?.objects)?;

    // `close` reports errors that dropping the store could not report.
    store.close()?;
    Ok(())
}

/// Stores one picture, its thumbnail and its number in the album. Returns the number.
///
/// All three are written by one transaction: after a power cut either all of them are there or none.
fn add(
    tx: &mut Transaction<'_>,
    photos: &Bucket,
    thumbnails: &Bucket,
    name: &str,
    pixels: &str,
) -> ossicle::Result<u32> {
    // Rows are small values of the application's own, in named tables, beside the buckets.
    if let Some(row) = tx.row("numbers", name.as_bytes())? {
        return Ok(number(&row));
    }
    // No other writer runs between this read and the commit, so two pictures never get the same number.
    let next = tx.row("album", b"next number")?.map_or(1, |row| number(&row));
    tx.put(photos, name, pixels)?;
    tx.put(thumbnails, name, &pixels[..1])?;
    tx.put_row("numbers", name.as_bytes(), &next.to_be_bytes())?;
    tx.put_row("album", b"next number", &(next + 1).to_be_bytes())?;
    Ok(next)
}

fn number(row: &[u8]) -> u32 {
    row.try_into().map(u32::from_be_bytes).expect("this program writes four bytes into these rows")
}
