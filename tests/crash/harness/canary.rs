//! Canaries: what must never be found in the files of an encrypted store.

use std::collections::BTreeSet;

use super::model::State;
use super::world::World;

/// What of a state must never be seen in a file: names and values that are long enough not to be there by chance.
pub fn secrets(states: &[&State]) -> BTreeSet<Vec<u8>> {
    let mut secrets = BTreeSet::new();
    for state in states {
        for (bucket, objects) in &state.buckets {
            secrets.insert(bucket.as_bytes().to_vec());
            for (key, thing) in objects {
                secrets.insert(key.as_bytes().to_vec());
                secrets.insert(thing.body[..thing.body.len().min(16)].to_vec());
                secrets.insert(thing.body[thing.body.len() / 2..].iter().take(16).copied().collect());
                secrets.extend(
                    thing.metadata.values().map(|value| value.as_bytes()[..value.len().min(16)].to_vec()),
                );
            }
        }
    }
    secrets.retain(|secret| secret.len() >= 6);
    secrets
}

pub fn tells(world: &World, secrets: &BTreeSet<Vec<u8>>) -> Option<String> {
    let heads: BTreeSet<[u8; 6]> = secrets.iter().map(|secret| *secret.first_chunk().unwrap()).collect();
    for path in world.disk.paths() {
        let bytes = world.disk.contents(&path).unwrap_or_default();
        for (at, window) in bytes.windows(6).enumerate() {
            if heads.contains(window)
                && let Some(secret) = secrets.iter().find(|secret| bytes[at..].starts_with(secret))
            {
                return Some(format!("{secret:?} stands at byte {at} of {}", path.display()));
            }
        }
    }
    None
}
