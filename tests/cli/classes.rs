//! Storage classes and restoring, on the command line.

use std::fs;

use crate::tool::Tool;

/// A store with a bucket whose objects are archived unless they say otherwise.
fn begun() -> Tool {
    let tool = Tool::new();
    tool.ok(&["mb", "attic", "--class", "Archive"]);
    fs::write(tool.path("body"), "dear tom").unwrap();
    tool
}

#[test]
fn the_class_of_a_put_is_shown_and_changed() {
    let tool = begun();
    tool.ok(&["put", "body", "attic/a"]);
    tool.ok(&["put", "--class", "IA", "body", "attic/b"]);
    let shown = |key: &str| tool.ok(&["class", key]);
    assert_eq!((shown("attic/a"), shown("attic/b")), ("Archive\n".into(), "IA\n".into()));
    tool.ok(&["class", "attic/b", "Standard"]);
    assert_eq!(shown("attic/b"), "Standard\n");
    assert_eq!(tool.ok(&["cat", "attic/b"]), "dear tom");
    let long = tool.ok(&["ls", "-l", "attic"]);
    let classes: Vec<&str> = long.lines().map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(classes, ["Archive", "Standard"]);
    tool.ok(&["cp", "--class", "ColdArchive", "attic/b", "attic/c"]);
    tool.ok(&["cp", "attic/b", "attic/d"]);
    assert_eq!((shown("attic/c"), shown("attic/d")), ("ColdArchive\n".into(), "Archive\n".into()));
    for wrong in ["archive", "Glacier", ""] {
        assert_eq!(tool.run(&["class", "attic/b", wrong]).code, Some(2), "{wrong}");
        assert_eq!(tool.run(&["put", "--class", wrong, "body", "attic/x"]).code, Some(2), "{wrong}");
    }
    assert!(tool.fails(&["class", "attic/nothing"]).contains("does not exist"));
}

#[test]
fn a_tier_lies_where_it_is_told_to_and_says_so() {
    let tool = begun();
    fs::write(tool.path("long"), vec![7; 600_000]).unwrap();
    tool.ok(&["put", "long", "attic/before"]);
    let there = tool.path("slow");
    assert!(tool.ok(&["tier", "IA", "--dir", "slow"]).contains("slow"));
    tool.ok(&["put", "--class", "IA", "long", "attic/after"]);
    let shown = tool.ok(&["tier"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(
        lines[1].starts_with("IA") && lines[1].contains("1 segment,") && lines[1].contains("slow"),
        "{shown}"
    );
    assert!(lines[2].starts_with("Archive") && lines[2].ends_with("2"), "{shown}");
    // Without its directory the class is out of service, and says so.
    fs::rename(&there, tool.path("gone")).unwrap();
    assert!(tool.ok(&["tier"]).contains("out of service"));
    assert!(tool.fails(&["cat", "attic/after"]).contains("slow"));
    fs::rename(tool.path("gone"), &there).unwrap();
    assert_eq!(tool.ok(&["cat", "attic/after"]).len(), 600_000);
    assert_eq!(tool.run(&["tier", "IA"]).code, Some(2));
}

#[test]
fn a_frozen_object_says_so_and_is_asked_for() {
    let tool = begun();
    tool.ok(&["put", "body", "attic/a"]);
    tool.ok(&["put", "--class", "ColdArchive", "body", "attic/cold"]);
    assert!(tool.fails(&["cat", "attic/a"]).contains("frozen"));
    assert!(tool.fails(&["get", "attic/a", "again"]).contains("frozen"));
    assert!(!tool.path("again").exists());
    assert!(tool.fails(&["class", "attic/a", "Standard"]).contains("frozen"));
    let stat = |key: &str| -> String {
        let stat = tool.ok(&["stat", key]);
        stat.lines().filter_map(|line| line.strip_prefix("restore")).map(str::trim).collect()
    };
    assert_eq!(stat("attic/a"), "frozen");
    let told = tool.ok(&["restore", "attic/a", "--days", "3"]);
    assert!(told.starts_with("ongoing (Standard), to be read from "), "{told}");
    assert_eq!(stat("attic/a"), told.trim());
    assert!(tool.fails(&["restore", "attic/a"]).contains("being restored already"));
    tool.ok(&["restore", "attic/cold", "--priority", "Bulk"]);
    let faster = tool.ok(&["restore", "attic/cold", "--priority", "Expedited", "--days", "365"]);
    assert!(faster.starts_with("ongoing (Expedited)"), "{faster}");
    assert!(tool.fails(&["restore", "attic/cold", "--days", "366"]).contains("1 to 365"));
    assert_eq!(tool.run(&["restore", "attic/cold", "--priority", "soon"]).code, Some(2));
    assert!(tool.fails(&["restore", "attic/a", "--version", "nonsense"]).contains("version id"));
}

#[test]
fn what_is_warm_is_not_restored_and_says_nothing_of_it() {
    let tool = begun();
    tool.ok(&["put", "--class", "Standard", "body", "attic/a"]);
    assert!(tool.fails(&["restore", "attic/a"]).contains("without being restored"));
    assert!(!tool.ok(&["stat", "attic/a"]).contains("restore"));
}

#[test]
fn an_export_lists_what_is_frozen_and_writes_the_rest() {
    let tool = begun();
    tool.ok(&["put", "body", "attic/a"]);
    tool.ok(&["put", "--class", "Standard", "body", "attic/b"]);
    let ran = tool.run(&["export", "attic", "out"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("frozen") && !tool.path("out/a").exists(), "{ran:?}");
    assert_eq!(fs::read_to_string(tool.path("out/b")).unwrap(), "dear tom");
}
