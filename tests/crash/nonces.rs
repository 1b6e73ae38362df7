//! No nonce is used twice with a key: over many operations, with crashes, clones, older copies and restored backups.

use std::time::{Duration, Instant};

use ossicle::testing::FaultyDisk;
use ossicle::{
    Bucket, CompactOptions, Durability, PutOptions, RestoreBackupOptions, StorageClass, Store, WriteOptions,
};

use crate::harness::script::BACKUP;
use crate::harness::world::{SEALED, World, key, verify};
use crate::harness::{Dice, effort, policy_of, seed};

/// One call of a program, most of them short. Bodies say which opening they are of.
fn work(store: &Store, bucket: &Bucket, dice: &mut Dice, opening: u64) -> ossicle::Result<u64> {
    let name = format!("k{}", dice.below(2000));
    let options = PutOptions::new().durability(Durability::Buffered);
    let body = |len: usize| opening.to_le_bytes().into_iter().cycle().take(len).collect::<Vec<u8>>();
    match dice.below(100) {
        0 => bucket.put_with(&name, body(9000 + dice.below(9000) as usize), options).map(drop)?,
        1..5 => {
            let class = StorageClass::ALL[1 + dice.below(4) as usize];
            bucket.put_with(&format!("cold/{name}"), body(500), options.storage_class(class)).map(drop)?;
        }
        5..10 => bucket.put_with(&name, body(1500), options).map(drop)?,
        10..15 => bucket.delete(&name).map(|_| ())?,
        15..20 if bucket.exists(&name)? => drop(bucket.copy(&name, "copy")?),
        20..30 => {
            store.write_with(WriteOptions::new().durability(Durability::Buffered), |tx| {
                (0..20).try_for_each(|n| tx.put(bucket, &format!("{name}/{n}"), body(30)))
            })?;
            return Ok(20);
        }
        30 => store.flush()?,
        _ => bucket.put_with(&name, body(40), options).map(drop)?,
    }
    Ok(1)
}

/// Every opening is watched by the world, which panics where a nonce comes back.
#[test]
fn no_nonce_is_used_twice_over_crashes_clones_and_backups() {
    let (began, wanted) = (Instant::now(), effort::number("OSSICLE_NONCE_OPERATIONS", 4000, 20_000));
    let mut world = World::new(seed() | SEALED, None);
    world.settings.delta_bytes = 1 << 20;
    let mut dice = Dice::new(seed());
    let mut kept: Vec<FaultyDisk> = Vec::new();
    let (mut done, mut openings, mut ends) = (0, 0, [0u64; 7]);
    while done < wanted {
        openings += 1;
        let store = world.open().unwrap();
        let bucket = store.bucket("one").or_else(|_| store.create_bucket("one")).unwrap();
        let until = (done + 200 + dice.below(2000)).min(wanted);
        while done < until {
            done += work(&store, &bucket, &mut dice, openings).unwrap();
        }
        let end = dice.below(7);
        ends[end as usize] += 1;
        match end {
            0 => store.close().unwrap(),
            1 => world = world.restart(policy_of(dice.roll() >> 8)),
            2 => world = world.after_kill(),
            3 => {
                store.maintain(Duration::from_secs(60)).unwrap();
                store.compact(CompactOptions::new()).unwrap();
                store.close().unwrap();
            }
            // A copy of the directory, taken while the store is open, is kept for later.
            4 => {
                kept.push(world.disk.after_kill());
                store.checkpoint().unwrap();
            }
            // An older copy comes back, and what has happened since happens again, otherwise.
            5 => {
                if let Some(disk) = kept.get(dice.below(kept.len() as u64) as usize) {
                    world = world.with(disk.after_kill());
                }
            }
            _ => {
                store.backup(BACKUP).unwrap();
                let to = format!("/restored-{openings}");
                let options = RestoreBackupOptions::new().vfs(world.disk.vfs()).key_provider(key());
                Store::restore_with(BACKUP, &to, options).unwrap();
                // The restored one is used beside the one that it was made from, and each goes on from the same place.
                let other = world.open_at(&to).unwrap();
                let bucket = other.bucket("one").unwrap();
                for _ in 0..100 {
                    done += work(&other, &bucket, &mut dice, openings << 32).unwrap();
                }
                verify(&other).unwrap();
                other.close().unwrap();
                store.close().unwrap();
                for path in world.disk.paths().into_iter().filter(|path| path.starts_with(&to)) {
                    world.disk.erase(&path);
                }
            }
        }
        if kept.len() > 6 {
            kept.remove(dice.below(6) as usize);
        }
    }
    println!(
        "{done} operations in {openings} openings that ended in {ends:?}: {} nonces, none twice; {:?}",
        world.nonces(),
        began.elapsed()
    );
    assert!(world.nonces() as u64 > wanted / 4 && (wanted < 20_000 || ends.iter().all(|count| *count > 0)));
}

/// A running machine is cloned: the same random numbers, the same time, the same counters. What the two write differs, and
/// so do their nonces; and where they write the same, it is the same byte for byte.
#[test]
fn clones_with_the_same_random_numbers_share_a_nonce_only_for_the_same_bytes() {
    let world = World::new(seed() | SEALED, None);
    let store = world.open().unwrap();
    let bucket = store.create_bucket("one").unwrap();
    store.close().unwrap();
    drop((bucket, store));
    let len = |number: usize| [20, 1500, 9000][number % 3] + number;
    let live = |who: u8| {
        let twin = world.twin(world.disk.after_kill());
        let store = twin.open().unwrap();
        let bucket = store.bucket("one").unwrap();
        for number in 0..300 {
            bucket.put(&format!("{who}/{number:03}"), vec![who; len(number)]).unwrap();
        }
        store.checkpoint().unwrap();
        store.close().unwrap();
        twin
    };
    let (one, again, other) = (live(1), live(1), live(2));
    assert!(one.nonces() > 600, "{}", one.nonces());
    // Beside a body that is packed stands the name of its owner, which is empty: the same in the same place.
    let packed = (0..300).filter(|number| (65..=4096).contains(&len(*number))).count();
    assert_eq!(one.common_nonces(&other), packed);
    assert_eq!(one.common_nonces(&again), one.nonces());
    assert_eq!(one.disk.trace_hash(), again.disk.trace_hash());
}
