//! A writer beside relocation: what it has just written is what it reads.

use std::sync::atomic::{AtomicBool, Ordering};

use ossicle::testing::Planted;
use ossicle::{CompactOptions, Durability, PutOptions};

use super::world::{World, observe, verify};
use super::{Dice, Verdict};

/// One thread compacts all the time, another one makes `rounds` rounds of changes and reads them back.
pub fn relocation_beside_a_writer(seed: u64, rounds: u64, mistake: Option<Planted>) -> Verdict {
    let world = World::new(seed, mistake);
    let told = |what: &str, error: ossicle::Error| format!("beside relocation, {what}: {error}");
    let store = world.open().map_err(|e| told("opening", e))?;
    let bucket = store.create_bucket("one").map_err(|e| told("making a bucket", e))?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                store.compact(CompactOptions::new()).map_err(|e| told("compacting", e))?;
            }
            Ok::<(), String>(())
        });
        let write = || -> Verdict {
            let mut dice = Dice::new(seed);
            let mut model = std::collections::BTreeMap::new();
            for round in 0..rounds * 10 {
                let key = format!("k{}", dice.below(12));
                if dice.below(4) == 0 {
                    bucket.delete(&key).map_err(|e| told("deleting", e))?;
                    model.remove(&key);
                } else {
                    let body = vec![round as u8; [20, 2000, 9000][dice.below(3) as usize]];
                    let options = PutOptions::new().durability(Durability::Buffered);
                    bucket.put_with(&key, &body, options).map_err(|e| told("putting", e))?;
                    model.insert(key, body);
                }
                for (key, body) in &model {
                    let got =
                        bucket.get(key).and_then(|object| object.bytes()).map_err(|e| told("getting", e))?;
                    if got[..] != body[..] {
                        return Err(format!("round {round}: {key} has an older body"));
                    }
                }
                let listed = bucket.usage("").map_err(|e| told("asking for the usage", e))?.objects;
                if listed != model.len() as u64 {
                    return Err(format!("round {round}: {listed} objects, not {}", model.len()));
                }
            }
            Ok(())
        };
        let written = write();
        stop.store(true, Ordering::Relaxed);
        let compacted = compacting.join().map_err(|_| "compaction panicked".to_string())?;
        written.and(compacted)
    })?;
    observe(&store)?;
    verify(&store)
}
