//! Versions, copies, moves, forks and the past, on the command line.

use std::fs;

use crate::tool::Tool;

/// A store with a bucket, and a way to write short objects.
fn begun() -> Tool {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    tool
}

fn put(tool: &Tool, to: &str, text: &str) {
    fs::write(tool.path("body"), text).unwrap();
    tool.ok(&["put", "body", to]);
}

#[test]
fn versions_are_listed_and_deleted_objects_come_back() {
    let tool = begun();
    assert_eq!(tool.ok(&["versioning", "cats"]), "never enabled\n");
    tool.ok(&["versioning", "cats", "enabled"]);
    assert_eq!(tool.ok(&["versioning", "cats"]), "enabled\n");
    put(&tool, "cats/tom", "meow");
    put(&tool, "cats/tom", "hiss!");
    tool.ok(&["rm", "cats/tom"]);
    let listed = tool.ok(&["versions", "cats/tom"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[0].trim_start().starts_with("deleted") && lines[0].contains('*'), "{listed}");
    assert!(lines[1].trim_start().starts_with('5') && lines[2].trim_start().starts_with('4'), "{listed}");
    assert_eq!(tool.ok(&["ls", "cats"]), "");
    tool.ok(&["undelete", "cats/tom"]);
    assert_eq!(tool.ok(&["cat", "cats/tom"]), "hiss!");
    assert!(tool.fails(&["undelete", "cats/felix"]).contains("felix"));
    let oldest = lines[2].split_whitespace().nth(3).unwrap();
    tool.ok(&["cp", "--version", oldest, "cats/tom", "cats/again"]);
    assert_eq!(tool.ok(&["cat", "cats/again"]), "meow");
    assert!(tool.fails(&["cp", "--version", "nonsense", "cats/tom", "cats/x"]).contains("version id"));
    assert_eq!(tool.run(&["versioning", "cats", "perhaps"]).code, Some(2));
}

#[test]
fn objects_and_trees_are_copied_and_moved() {
    let tool = begun();
    tool.ok(&["mb", "dogs"]);
    put(&tool, "cats/a/one", "1");
    put(&tool, "cats/a/two", "2");
    put(&tool, "cats/ab", "3");
    tool.ok(&["cp", "cats/a/one", "dogs"]);
    assert_eq!(tool.ok(&["cat", "dogs/one"]), "1");
    assert!(tool.fails(&["cp", "--if-absent", "cats/ab", "dogs/one"]).contains("exists already"));
    assert_eq!(tool.ok(&["cp", "-r", "cats/a", "dogs/b"]), "copied 2 objects\n");
    assert_eq!(tool.ok(&["ls", "-r", "dogs"]), "b/one\nb/two\none\n");
    assert_eq!(tool.ok(&["mv", "-r", "cats/a", "cats/c/d"]), "moved 2 objects\n");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "ab\nc/d/one\nc/d/two\n");
    tool.ok(&["mv", "cats/ab", "dogs/"]);
    assert_eq!(tool.ok(&["cat", "dogs/ab"]), "3");
    assert!(tool.fails(&["mv", "cats/ab", "cats/x"]).contains("does not exist"));
    assert_eq!(tool.run(&["mv", "-r", "cats/c", "dogs/c"]).code, Some(2));
    assert_eq!(tool.run(&["cp", "-r", "cats/c", "cats/c/e"]).code, Some(2));
    assert!(tool.fails(&["cp", "-r", "cats/nothing", "dogs/x"]).contains("nothing below"));
}

#[test]
fn forks_are_made_compared_and_dropped() {
    let tool = begun();
    put(&tool, "cats/tom", "meow");
    put(&tool, "cats/felix", "purr");
    tool.ok(&["fork", "cats", "lab"]);
    assert_eq!(tool.ok(&["diff", "lab"]), "");
    put(&tool, "lab/tom", "hiss");
    put(&tool, "lab/new", "!");
    tool.ok(&["rm", "lab/felix"]);
    assert_eq!(tool.ok(&["diff", "lab"]), "- felix\n+ new\n~ tom\n");
    assert_eq!(tool.ok(&["diff", "cats", "lab"]), "+ felix\n- new\n~ tom\n");
    assert!(tool.fails(&["diff", "cats"]).contains("not a fork"));
    tool.ok(&["rb", "lab"]);
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "felix\ntom\n");
}

#[test]
fn the_past_is_listed_while_it_is_kept() {
    let tool = begun();
    assert_eq!(tool.ok(&["history"]), "off\n");
    tool.ok(&["history", "24h"]);
    assert_eq!(tool.ok(&["history"]), "86400 s\n");
    put(&tool, "cats/tom", "meow");
    let stat = tool.ok(&["stat", "cats/tom"]);
    let lsn = stat.lines().find_map(|line| line.strip_prefix("commit")).unwrap().trim().to_string();
    tool.ok(&["rm", "cats/tom"]);
    put(&tool, "cats/felix", "purr");
    assert_eq!(tool.ok(&["ls", "cats"]), "felix\n");
    assert_eq!(tool.ok(&["ls", "--as-of", &lsn, "cats"]), "tom\n");
    assert!(tool.fails(&["ls", "--as-of", "1999-12-31", "cats"]).contains("`ossicle history`"));
    assert_eq!(tool.run(&["ls", "--as-of", "yesterday", "cats"]).code, Some(2));
    tool.ok(&["history", "off"]);
    assert!(tool.fails(&["ls", "--as-of", &lsn, "cats"]).contains("does not show"));
}

#[test]
fn tags_are_shown_replaced_and_taken_off() {
    let tool = begun();
    put(&tool, "cats/tom", "meow");
    assert_eq!(tool.ok(&["tag", "cats/tom"]), "");
    tool.ok(&["tag", "cats/tom", "team=red", "year=2026"]);
    assert_eq!(tool.ok(&["tag", "cats/tom"]), "team=red\nyear=2026\n");
    tool.ok(&["tag", "cats/tom", "team=blue"]);
    assert_eq!(tool.ok(&["tag", "cats/tom"]), "team=blue\n");
    tool.ok(&["tag", "--clear", "cats/tom"]);
    assert_eq!(tool.ok(&["tag", "cats/tom"]), "");
    assert!(tool.fails(&["tag", "cats/felix"]).contains("felix"));
    assert!(tool.fails(&["tag", "cats/tom", "a%b=1"]).contains("tag"));
}
