//! Trees on their way in.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::tool::{Tool, assert_same, is_root, plant_tree};

#[test]
fn a_tree_comes_back_as_it_was() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    let told = tool.ok(&["import", "tree", "cats"]);
    assert!(
        told.starts_with("imported 21 files (") && told.contains("skipped 0 unchanged, failed 0"),
        "{told}"
    );
    let told = tool.ok(&["export", "cats", "again"]);
    assert!(told.starts_with("exported 21 files ("), "{told}");
    assert_same(&tool.path("tree"), &tool.path("again"));
    assert!(tool.ok(&["verify"]).contains("clean"));
}

#[test]
fn a_prefix_is_a_directory() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    tool.ok(&["import", "tree", "cats/some/where"]);
    assert!(tool.ok(&["ls", "-r", "cats/some/where/"]).contains("some/where/plain.txt"));
    tool.ok(&["export", "cats/some/where/", "again"]);
    assert_same(&tool.path("tree"), &tool.path("again"));
}

#[test]
fn only_what_changed_is_taken_again() {
    let tool = Tool::new();
    let tree = tool.path("tree");
    plant_tree(&tree);
    tool.ok(&["import", "tree", "cats"]);
    assert!(tool.ok(&["import", "tree", "cats"]).contains("imported 0 files (0 B)"));
    fs::write(tree.join("plain.txt"), "b plain file\n").unwrap();
    fs::set_permissions(tree.join("mode-600"), fs::Permissions::from_mode(0o611)).unwrap();
    fs::write(tree.join("more"), "more").unwrap();
    let told = tool.ok(&["import", "tree", "cats"]);
    assert!(told.contains("imported 3 files") && told.contains("skipped 19"), "{told}");
    tool.ok(&["export", "cats", "again"]);
    assert_same(&tree, &tool.path("again"));
}

#[test]
fn checksum_sees_what_times_hide() {
    let tool = Tool::new();
    let tree = tool.path("tree");
    plant_tree(&tree);
    tool.ok(&["import", "tree", "cats"]);
    let path = tree.join("deep/middle");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[500] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert!(tool.ok(&["import", "tree", "cats"]).contains("imported 0 files"));
    assert!(tool.ok(&["import", "tree", "cats", "--checksum"]).contains("imported 1 file ("));
}

#[test]
fn a_dry_run_takes_nothing() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    let told = tool.ok(&["import", "tree", "cats", "--dry-run"]);
    assert!(told.contains("would import plain.txt\n") && told.contains("would import 21 files"), "{told}");
    assert!(told.contains("new\\nline"), "{told}");
    assert!(!tool.store().exists());
    tool.ok(&["import", "tree", "cats"]);
    fs::write(tool.path("tree/more"), "x").unwrap();
    let told = tool.ok(&["import", "tree", "cats", "-n"]);
    assert!(told.starts_with("would import more\nwould import 1 file (1 B)"), "{told}");
    assert!(tool.run(&["stat", "cats/more"]).code == Some(1));
}

#[test]
fn what_cannot_be_taken_is_named_and_the_rest_goes_on() {
    let tool = Tool::new();
    let tree = tool.path("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("fine"), "fine").unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"bad\xff name")), "x").unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"\\begins")), "x").unwrap();
    assert!(Command::new("mkfifo").arg(tree.join("sub/pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let mut long = tree.clone();
    (0..6).for_each(|_| long.push("d".repeat(200)));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("file"), "x").unwrap();
    fs::write(tree.join("secret"), "x").unwrap();
    fs::set_permissions(tree.join("secret"), fs::Permissions::from_mode(0o000)).unwrap();

    let ran = tool.run(&["import", "tree", "cats"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in [
        "bad\u{fffd} name: its name is not UTF-8",
        "sub/pipe: it is a fifo",
        "socket: it is a socket",
        "1023",
    ] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    assert!(ran.err.contains("backslash"), "{ran:?}");
    if !is_root() {
        assert!(ran.err.contains("secret: permission denied"), "{ran:?}");
    }
    let failed = if is_root() { "failed 5" } else { "failed 6" };
    assert!(ran.out.contains(failed), "{ran:?}");
    assert_eq!(tool.ok(&["cat", "cats/fine"]), "fine");
}

#[test]
fn an_unreadable_directory_is_not_taken_for_an_empty_one() {
    if is_root() {
        return;
    }
    let tool = Tool::new();
    let locked = tool.path("tree/locked");
    fs::create_dir_all(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let told = tool.fails(&["import", "tree", "cats"]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(told.contains("locked: permission denied"), "{told}");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "");
}

#[test]
fn the_store_is_not_taken_into_itself() {
    let tool = Tool::new();
    fs::write(tool.path("file"), "x").unwrap();
    let told = tool.ok(&["import", ".", "cats"]);
    assert!(told.starts_with("imported 1 file ("), "{told}");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "file\n");
    let told = tool.fails(&["export", "cats", "store/inside"]);
    assert!(told.contains("store's own directory"), "{told}");
}

#[test]
fn names_can_be_left_out() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    tool.ok(&["import", "tree", "cats", "--exclude", "deep", "--exclude", "nothing"]);
    let listed = tool.ok(&["ls", "-r", "cats"]);
    assert!(
        listed.contains("plain.txt") && !listed.contains("deep/") && !listed.contains("nothing"),
        "{listed}"
    );
}

#[test]
fn a_file_is_no_tree() {
    let tool = Tool::new();
    fs::write(tool.path("file"), "x").unwrap();
    assert!(tool.fails(&["import", "file", "cats"]).contains("ossicle put"));
    assert!(tool.fails(&["import", "nowhere", "cats"]).contains("nowhere"));
    assert!(!tool.store().exists());
}

#[test]
fn thousands_of_small_files_go_in_and_out() {
    let tool = Tool::new();
    let tree = tool.path("tree");
    for number in 0..4000 {
        let folder = tree.join(format!("{:02}", number % 40));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{number}")), format!("file {number} ").repeat(number % 90)).unwrap();
    }
    let told = tool.ok(&["import", "tree", "cats", "--jobs", "4"]);
    assert!(told.starts_with("imported 4,000 files ("), "{told}");
    assert!(tool.ok(&["import", "tree", "cats"]).contains("skipped 4,000 unchanged"));
    tool.ok(&["export", "cats", "again"]);
    assert_same(&tree, &tool.path("again"));
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let tool = Tool::new();
    let tree = tool.path("tree");
    for number in 0..3000 {
        let folder = tree.join(format!("{:02}", number % 30));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{number}")), crate::tool::noise(2000 + number)).unwrap();
    }
    fs::write(tree.join("large"), crate::tool::noise(20_000_000)).unwrap();
    for pause in [10, 30, 60, 90] {
        let mut child = tool
            .command(&["import", "tree", "cats"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        // Killed before it made the store is fine, too.
        if tool.store().join("SUPERBLOCK").exists() {
            assert!(tool.ok(&["verify"]).contains("clean"));
        }
    }
    let told = tool.ok(&["import", "tree", "cats"]);
    assert!(told.contains("failed 0"), "{told}");
    tool.ok(&["export", "cats", "again"]);
    assert_same(&tree, &tool.path("again"));
    assert!(tool.ok(&["verify"]).contains("clean"));
}

#[test]
fn ctrl_c_ends_an_import_in_good_order() {
    let tool = Tool::new();
    let tree = tool.path("tree");
    fs::create_dir_all(&tree).unwrap();
    for number in 0..60 {
        fs::write(tree.join(format!("f{number}")), crate::tool::noise(4_000_000)).unwrap();
    }
    let child = tool
        .command(&["import", "tree", "cats", "--jobs", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The store is there when the handler soon will be.
    while !tool.store().join("SUPERBLOCK").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(60));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ran = crate::tool::ran(child.wait_with_output().unwrap());
    // A quick machine may be done before the signal comes.
    if ran.code != Some(0) {
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert!(ran.err.contains("the same command goes on from here"), "{ran:?}");
        assert!(ran.out.starts_with("imported "), "{ran:?}");
    }
    let told = tool.ok(&["import", "tree", "cats"]);
    assert!(told.contains("failed 0"), "{told}");
    tool.ok(&["export", "cats", "again"]);
    assert_same(&tree, &tool.path("again"));
}
