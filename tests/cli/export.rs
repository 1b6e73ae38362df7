//! Trees on their way out, and keys that want to lead them astray.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::tool::{Tool, assert_same, picture, plant_tree};
use ossicle::PutOptions;

#[test]
fn what_is_there_and_equal_is_kept() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    tool.ok(&["import", "tree", "cats"]);
    tool.ok(&["export", "cats", "again"]);
    let told = tool.ok(&["export", "cats", "again"]);
    assert!(told.contains("exported 0 files (0 B)") && told.contains("skipped 21"), "{told}");
    // Equal bytes under another time and mode only get those back.
    let path = tool.path("again/plain.txt");
    fs::write(&path, "a plain file\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let told = tool.ok(&["export", "cats", "again"]);
    assert!(told.contains("exported 0 files"), "{told}");
    assert_same(&tool.path("tree"), &tool.path("again"));
}

#[test]
fn what_is_there_and_differs_is_kept_unless_forced() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    tool.ok(&["import", "tree", "cats"]);
    tool.ok(&["export", "cats", "again"]);
    fs::write(tool.path("again/plain.txt"), "mine").unwrap();
    fs::remove_file(tool.path("again/dangling")).unwrap();
    symlink("elsewhere", tool.path("again/dangling")).unwrap();
    let told = tool.fails(&["export", "cats", "again"]);
    assert!(
        told.contains("plain.txt: there is another file") && told.contains("dangling: there is another"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(tool.path("again/plain.txt")).unwrap(), "mine");
    let told = tool.ok(&["export", "cats", "again", "--force"]);
    assert!(told.contains("exported 2 files"), "{told}");
    assert_same(&tool.path("tree"), &tool.path("again"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    tool.ok(&["import", "tree", "cats"]);
    let told = tool.ok(&["export", "cats", "again", "-n"]);
    assert!(told.contains("would export plain.txt") && told.contains("would export 21 files"), "{told}");
    assert!(!tool.path("again").exists());
    tool.ok(&["export", "cats", "again"]);
    fs::remove_file(tool.path("again/plain.txt")).unwrap();
    let told = tool.ok(&["export", "cats", "again", "-n"]);
    assert!(told.starts_with("would export plain.txt\nwould export 1 file ("), "{told}");
}

#[test]
fn hostile_keys_are_named_and_lead_nowhere() {
    let tool = Tool::new();
    let bad = [
        "../x",
        "a/../../x",
        "a//b",
        "..",
        ".",
        "./x",
        "a/.",
        "//x".trim_start_matches('/'),
        "nul\0l",
        "a/..",
        "d/",
    ];
    let mut objects: Vec<(&str, &str)> =
        bad.iter().filter(|key| **key != "x").map(|key| (*key, "evil")).collect();
    objects.extend([("good", "good"), ("both", "file"), ("both/under", "under"), ("both-and", "x")]);
    let long = "n".repeat(300);
    objects.push((&long, "long"));
    tool.plant(&objects, PutOptions::new);
    fs::create_dir(tool.path("jail")).unwrap();
    let ran = tool.run(&["export", "cats", "jail/out"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let names: Vec<_> = picture(&tool.path("jail")).into_keys().collect();
    let wanted = ["out", "out/both", "out/both-and", "out/both/under", "out/good"];
    let mut wanted: Vec<_> = wanted.iter().map(std::path::PathBuf::from).collect();
    wanted.sort();
    assert_eq!(names, wanted, "{ran:?}");
    for part in [
        "../x: ",
        "a/../../x: ",
        "a//b: ",
        "nul\\u{0}l: ",
        "both: other keys",
        "d/: its key names a directory",
    ] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    assert!(!tool.path("x").exists() && !tool.path("jail/x").exists());
    assert!(ran.out.contains("exported 3 files"), "{ran:?}");
}

#[test]
fn nothing_is_written_through_a_link() {
    let tool = Tool::new();
    tool.plant(
        &[("sub/file", "evil"), ("sub/deep/file", "evil"), ("fine", "fine"), ("tip", "evil")],
        PutOptions::new,
    );
    fs::create_dir_all(tool.path("outside")).unwrap();
    fs::create_dir_all(tool.path("out")).unwrap();
    fs::write(tool.path("outside/tip"), "mine").unwrap();
    symlink(tool.path("outside"), tool.path("out/sub")).unwrap();
    symlink(tool.path("outside/tip"), tool.path("out/tip")).unwrap();
    for force in [&["export", "cats", "out"][..], &["export", "cats", "out", "--force"]] {
        let told = tool.fails(force);
        assert!(told.contains("nothing is written through links"), "{told}");
        assert_eq!(fs::read_dir(tool.path("outside")).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(tool.path("outside/tip")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(tool.path("out/fine")).unwrap(), "fine");
    }
    // Forced, the link itself was replaced.
    assert!(fs::symlink_metadata(tool.path("out/tip")).unwrap().is_file());
}

#[test]
fn a_link_in_the_store_does_not_open_a_way_out() {
    let tool = Tool::new();
    fs::create_dir_all(tool.path("outside")).unwrap();
    let target = tool.path("outside").display().to_string();
    tool.plant(&[("way", &target)], || PutOptions::new().metadata("src-symlink", "1"));
    tool.plant(&[("way/file", "evil")], PutOptions::new);
    let told = tool.fails(&["export", "cats", "out"]);
    assert!(told.contains("way: other keys make it a directory"), "{told}");
    assert_eq!(fs::read_dir(tool.path("outside")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(tool.path("out/way/file")).unwrap(), "evil");
}

#[test]
fn a_store_cannot_hand_out_set_user_id() {
    let tool = Tool::new();
    tool.plant(&[("tool", "x")], || PutOptions::new().metadata("src-mode", "4755"));
    tool.ok(&["export", "cats", "out"]);
    assert_eq!(fs::metadata(tool.path("out/tool")).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn files_in_the_way_of_directories_are_named() {
    let tool = Tool::new();
    tool.plant(&[("a/b", "x"), ("c", "y"), ("d", "z")], PutOptions::new);
    fs::create_dir_all(tool.path("out/c")).unwrap();
    fs::write(tool.path("out/a"), "mine").unwrap();
    let told = tool.fails(&["export", "cats", "out", "--force"]);
    assert!(told.contains("a/b: \"a\" on its way is no directory"), "{told}");
    assert!(told.contains("c: there is a directory"), "{told}");
    assert_eq!(fs::read_to_string(tool.path("out/a")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(tool.path("out/d")).unwrap(), "z");
}

#[test]
fn what_a_killed_export_left_is_cleaned_up() {
    let tool = Tool::new();
    tool.plant(&[("a", "whole")], PutOptions::new);
    fs::create_dir(tool.path("out")).unwrap();
    let left = format!(".ossicle-part-{}", &blake3::hash(b"a").to_hex()[..16]);
    fs::write(tool.path("out").join(&left), "hal").unwrap();
    tool.ok(&["export", "cats", "out"]);
    let names: Vec<_> = picture(&tool.path("out")).into_keys().collect();
    assert_eq!(names, [std::path::PathBuf::from("a")]);
    assert_eq!(fs::read_to_string(tool.path("out/a")).unwrap(), "whole");
}
