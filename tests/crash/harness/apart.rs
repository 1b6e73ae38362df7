//! Tiers in a directory of their own.

use ossicle::testing::{CutPolicy, Planted};
use ossicle::{PutOptions, StorageClass};

use super::Verdict;
use super::world::{APART, World, settings};

/// The store knows where its tiers lie without being told, from the moment on that something lies there.
pub fn remembered(seed: u64, mistake: Option<Planted>) -> Verdict {
    let told = |error: ossicle::Error| error.to_string();
    let world = World::new(seed | APART, mistake);
    let store = world.open().map_err(told)?;
    let bucket = store.create_bucket("one").map_err(told)?;
    let cool = PutOptions::new().storage_class(StorageClass::InfrequentAccess);
    bucket.put_with("k", vec![7; 50_000], cool).map_err(told)?;
    for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll] {
        let mut after = world.restart(policy);
        after.settings.tiers = settings().tiers;
        let store = after.open().map_err(told)?;
        let object = store.bucket("one").and_then(|bucket| bucket.get("k")).map_err(told)?;
        if object.bytes().map_err(told)?[..] != vec![7; 50_000] {
            return Err("another body comes back".into());
        }
    }
    Ok(())
}
