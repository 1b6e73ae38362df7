//! What a small store costs: syncs until its first object is durable.

use ossicle::testing::{CutPolicy, FaultyDisk};
use ossicle::{Maintenance, Store};

#[test]
fn the_first_object_is_durable_within_five_synced_writes() {
    let disk = FaultyDisk::new(1);
    let store = Store::builder("/store").vfs(disk.vfs()).maintenance(Maintenance::Manual).open().unwrap();
    store.create_bucket("cats").unwrap().put("cat", vec![7; 1000]).unwrap();
    let syncs = disk.syncs();
    assert!(syncs <= 5, "{syncs} synced writes");
    // All that was not synced is lost, and the object is there.
    disk.power_cut();
    let disk = disk.restart(CutPolicy::DropUnsynced);
    let store = Store::builder("/store").vfs(disk.vfs()).maintenance(Maintenance::Manual).open().unwrap();
    assert_eq!(store.bucket("cats").unwrap().get("cat").unwrap().bytes().unwrap(), vec![7; 1000]);
}
