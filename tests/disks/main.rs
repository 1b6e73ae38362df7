//! Disks of many sizes and kinds are filled, emptied by half and filled again.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test measures its time, touches disks and prints what it has counted"
)]

mod drive;

use std::path::PathBuf;

use drive::{Mixture, Plan, Report, run};
use ossicle::testing::FaultyDisk;
use ossicle::{ErrorKind, Maintenance, Settings, StaticKey, StorageClass, Store, Tier};

/// What the environment says, or `default`.
fn told(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_string())
}

fn plan() -> Plan {
    let mixture = match told("OSSICLE_DISK_MIXTURE", "mixed").as_str() {
        "small" => Mixture::Small,
        "large" => Mixture::Large,
        _ => Mixture::Mixed,
    };
    let number = |name: &str, default: &str| told(name, default).parse().expect("a number");
    Plan {
        mixture,
        shrunk: number("OSSICLE_DISK_SHRUNK", "1"),
        background: told("OSSICLE_DISK_MAINTENANCE", "manual") == "background",
        cold: std::env::var("OSSICLE_DISK_TIER").is_ok(),
        rounds: number("OSSICLE_DISK_ROUNDS", "10") as u32,
        seed: number("OSSICLE_DISK_SEED", "1"),
    }
}

/// A disk in memory with a store on it.
fn in_memory(plan: Plan, disk: &FaultyDisk, sealed: bool) -> Result<Report, String> {
    let open = || {
        let mut builder = Store::builder("/disk/store").vfs(disk.vfs());
        builder =
            builder.maintenance(if plan.background { Maintenance::Background } else { Maintenance::Manual });
        if plan.cold {
            builder = builder.tier(StorageClass::InfrequentAccess, Tier::new().dir("/apart").level(0));
        }
        if sealed {
            builder = builder.key_provider(StaticKey::new([7; 32]));
        }
        builder.open()
    };
    run(plan, &open)
}

#[test]
fn small_disks_are_emptied_and_filled_again() {
    let plan =
        Plan { mixture: Mixture::Mixed, shrunk: 24, background: false, cold: false, rounds: 2, seed: 1 };
    for (name, megabytes, plan, sealed) in [
        ("manual", 4, plan, false),
        ("in the background", 4, Plan { background: true, ..plan }, false),
        ("encrypted", 4, plan, true),
        ("in a tier", 8, Plan { cold: true, ..plan }, false),
        ("small", 4, Plan { mixture: Mixture::Small, shrunk: 1, ..plan }, false),
        ("large", 6, Plan { mixture: Mixture::Large, ..plan }, false),
    ] {
        let disk = FaultyDisk::new(1);
        disk.set_capacity(Some(megabytes << 20));
        let report = in_memory(plan, &disk, sealed).unwrap_or_else(|why| panic!("{name}: {why}"));
        println!("{name}: {report:?}");
        assert!(report.least * 2 > report.first, "{name}: room is lost: {report:?}");
    }
}

#[test]
fn a_full_disk_that_copies_on_write_is_emptied() {
    let plan =
        Plan { mixture: Mixture::Mixed, shrunk: 24, background: false, cold: false, rounds: 2, seed: 2 };
    let disk = FaultyDisk::new(2);
    disk.set_capacity(Some(4 << 20));
    disk.set_in_place(false);
    let report = in_memory(plan, &disk, false).unwrap();
    assert!(report.deletes > 100, "{report:?}");
}

#[test]
fn a_disk_too_small_for_the_reserve_is_refused_at_making() {
    let disk = FaultyDisk::new(3);
    disk.set_capacity(Some(400 << 10));
    let open = || Store::builder("/disk/store").vfs(disk.vfs()).maintenance(Maintenance::Manual);
    let refused = open().open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Quota, "{refused}");
    assert!(refused.to_string().contains("524288 bytes are kept in reserve"), "{refused}");
    // Nothing is left that could be taken for a store, and with less it works.
    assert_eq!(open().create(false).open().unwrap_err().kind(), ErrorKind::NotFound);
    let settings = Settings { reserve_bytes: 64 << 10, ..Settings::default() };
    let store = open().settings(settings).open().unwrap();
    store.create_bucket("one").unwrap().put("key", b"body").unwrap();
}

#[test]
fn the_disk_of_the_environment_is_emptied_and_filled_again() {
    let Ok(dir) = std::env::var("OSSICLE_DISK_DIR") else {
        // Nobody has made a disk: one in memory.
        let disk = FaultyDisk::new(1);
        disk.set_capacity(Some(16 << 20));
        let plan = Plan { shrunk: 8, rounds: 2, ..plan() };
        let open = || Store::builder("/store").vfs(disk.vfs()).maintenance(Maintenance::Manual).open();
        let report = run(plan, &open).unwrap();
        assert!(report.deletes > 100, "{report:?}");
        return;
    };
    let plan = plan();
    let tier = std::env::var("OSSICLE_DISK_TIER").ok().map(PathBuf::from);
    let sealed = std::env::var("OSSICLE_DISK_SEALED").is_ok();
    let open = || {
        let mut builder = Store::builder(PathBuf::from(&dir).join("store"));
        builder =
            builder.maintenance(if plan.background { Maintenance::Background } else { Maintenance::Manual });
        if let Some(tier) = &tier {
            builder = builder.tier(StorageClass::InfrequentAccess, Tier::new().dir(tier));
        }
        if sealed {
            builder = builder.key_provider(StaticKey::new([7; 32]));
        }
        builder.open()
    };
    match run(plan, &open) {
        Ok(report) => println!("{report:?}"),
        Err(why) => panic!("{why}"),
    }
}
