//! Backing up, restoring and salvaging as users of the tool do.

use std::fs;

use crate::tool::{Tool, noise};

/// A store with something in it, put past the tool.
fn planted() -> Tool {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    fs::write(tool.path("large"), noise(900_000)).unwrap();
    tool.ok(&["put", "large", "cats/large"]);
    fs::write(tool.path("small"), "meow").unwrap();
    tool.ok(&["put", "small", "cats/small"]);
    tool
}

#[test]
fn a_backup_is_made_made_again_and_restored() {
    let tool = planted();
    let told = tool.ok(&["backup", "store", "backup"]);
    assert!(told.contains("backed up to commit 3") && told.contains("removed 0"), "{told}");
    tool.ok(&["put", "small", "cats/second"]);
    let told = tool.ok(&["backup", "store", "backup"]);
    assert!(told.contains("commit 4") && !told.contains("kept 0 B"), "{told}");
    let told = tool.ok(&["restore-backup", "backup", "again"]);
    assert!(told.contains("restored commit 4") && told.contains("found right"), "{told}");
    for store in ["backup", "again"] {
        assert_eq!(tool.ok(&["--store", store, "cat", "cats/second"]), "meow");
        assert!(tool.ok(&["--store", store, "verify"]).contains("clean"));
    }
    let told = tool.fails(&["restore-backup", "backup", "again"]);
    assert!(told.contains("not empty"), "{told}");
    fs::create_dir(tool.path("letters")).unwrap();
    fs::write(tool.path("letters/letter"), "dear ann").unwrap();
    let told = tool.fails(&["backup", "store", "letters"]);
    assert!(told.contains("letter"), "{told}");
    let told = tool.fails(&["backup", "nowhere", "other"]);
    assert!(told.contains("nowhere"), "{told}");
    assert!(!tool.path("other").exists());
}

#[test]
fn a_damaged_store_is_salvaged_and_what_is_missing_is_told() {
    let tool = planted();
    fs::remove_file(tool.path("store/SUPERBLOCK")).unwrap();
    tool.fails(&["ls", "cats"]);
    let told = tool.ok(&["salvage", "store", "saved"]);
    assert!(told.contains("saved ") && told.contains("lost 0") && told.contains("SUPERBLOCK"), "{told}");
    assert_eq!(tool.ok(&["--store", "saved", "cat", "cats/small"]), "meow");
    // Now the large body too.
    let bulk = fs::read_dir(tool.path("store/bulk/0")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&bulk).unwrap();
    bytes[5000] ^= 1;
    fs::write(&bulk, bytes).unwrap();
    let ran = tool.run(&["salvage", "store", "part"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("lost     cats/large") && ran.out.contains("lost 1"), "{ran:?}");
    assert_eq!(tool.ok(&["--store", "part", "ls", "cats"]).trim(), "small");
    let told = tool.fails(&["salvage", "nowhere", "other"]);
    assert!(told.contains("nowhere"), "{told}");
}
