//! The tour: everything at once.

use std::fs;

use crate::tool::{Tool, bare, plant_tree, ran};

#[test]
fn the_tour_matches_and_leaves_nothing_behind() {
    let tool = Tool::new();
    let temporary = tool.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let ran = ran(bare(&["tour"]).env("TMPDIR", &temporary).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("everything matched"), "{ran:?}");
    assert!(ran.out.lines().count() >= 12, "{ran:?}");
    assert_eq!(ran.err, "");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn the_tour_shows_a_tree_of_the_users_own() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    let out = tool.ok(&["tour", "tree"]);
    assert!(out.contains("Imported 21 files") && out.contains("everything matched"), "{out}");
    // With a store of the user's, that stays; a second tour keeps off it.
    assert!(tool.ok(&["verify"]).contains("clean"));
    assert!(tool.fails(&["tour", "tree"]).contains("not empty"));
}

#[test]
fn the_tour_says_what_it_could_not_take() {
    let tool = Tool::new();
    plant_tree(&tool.path("tree"));
    assert!(std::process::Command::new("mkfifo").arg(tool.path("tree/pipe")).status().unwrap().success());
    let told = tool.fails(&["tour", "tree"]);
    assert!(told.contains("pipe: it is a fifo"), "{told}");
}
