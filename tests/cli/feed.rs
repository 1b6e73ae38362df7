//! `feed`: what happened, from a place, with a cursor, as lines and as JSON.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::tool::Tool;

/// The lines of a feed without their times.
fn lines(out: &str) -> Vec<String> {
    let bare = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let lsn = words.next().unwrap().to_string();
        format!("{lsn} {}", words.nth(2).unwrap())
    };
    out.lines().map(bare).collect()
}

fn put(tool: &Tool, key: &str) {
    fs::write(tool.path("f"), "four").unwrap();
    tool.ok(&["put", "f", &format!("cats/{key}")]);
}

#[test]
fn what_happened_is_told_once_to_whoever_has_a_cursor() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    // Without a cursor, the log is kept only for what is live.
    put(&tool, "tom");
    tool.ok(&["rm", "cats/tom"]);
    put(&tool, "tam");
    assert_eq!(lines(&tool.ok(&["feed"])).last().unwrap(), "4 put cats/tam (4 B)");
    assert!(tool.fails(&["feed", "--after", "0"]).contains("take a snapshot"));
    assert_eq!(tool.run(&["feed", "--commit"]).code, Some(2));
    tool.ok(&["feed", "--after", "4", "--cursor", "all", "--commit"]);
    put(&tool, "tom");
    put(&tool, "new\nline");
    tool.ok(&["rm", "cats/tom"]);
    let all = ["6 put cats/tom (4 B)", "7 put cats/new\\nline (4 B)", "8 delete cats/tom"];
    assert_eq!(lines(&tool.ok(&["feed", "--after", "4"])), all);
    assert_eq!(lines(&tool.ok(&["feed", "--after", "7"])), all[2..]);
    assert!(tool.fails(&["feed", "--after", "99"]).contains("no commit 99 yet"));
    assert!(tool.fails(&["feed", "--cursor", "me"]).contains("no cursor me"));
    assert_eq!(lines(&tool.ok(&["feed", "--cursor", "me", "--after", "5", "--commit"])), all);
    // The cursor itself is a commit with nothing in it, and moves no further for that.
    for _ in 0..2 {
        assert_eq!(tool.ok(&["feed", "--cursor", "me", "--commit"]), "");
    }
    put(&tool, "tim");
    for commit in [&["feed", "--cursor", "me"][..], &["feed", "--cursor", "me", "--commit"]] {
        assert_eq!(lines(&tool.ok(commit)), ["10 put cats/tim (4 B)"]);
    }
    assert_eq!(lines(&tool.ok(&["feed", "--cursor", "me", "--after", "7", "--commit"])).len(), 2);
    assert_eq!(tool.ok(&["feed", "--cursor", "me"]), "");
}

#[test]
fn a_commit_is_one_line_of_json() {
    let tool = Tool::new();
    tool.plant(&[("say \"hi\"", "body")], || ossicle::PutOptions::new().metadata("owner", "ann"));
    tool.ok(&["feed", "--cursor", "me", "--commit"]);
    let store = ossicle::Store::open(tool.store()).unwrap();
    store.write(|tx| tx.put_row("table", b"\x00k", b"v")).unwrap();
    store.close().unwrap();
    let out = tool.ok(&["feed", "--json"]);
    let told: Vec<&str> = out.lines().collect();
    assert_eq!(told.len(), 4);
    assert!(told[0].ends_with(r#""ops":[{"op":"create_bucket","bucket":"cats"}]}"#), "{out}");
    assert!(told[1].starts_with(r#"{"lsn":2,"millis":1"#), "{out}");
    assert!(told[1].contains(r#"{"op":"put","bucket":"cats","key":"say \"hi\"","size":4,"etag":""#), "{out}");
    assert!(told[1].ends_with(r#""metadata":{"owner":"ann"}}]}"#), "{out}");
    assert!(told[2].ends_with(r#""ops":[]}"#), "{out}");
    assert!(told[3].ends_with(r#"{"op":"put_row","table":"table","key":"006b","value":"76"}]}"#), "{out}");
}

#[test]
fn following_goes_on_beside_others_until_it_is_stopped() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    let mut child = tool.command(&["feed", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().ends_with("make cats"));
    fs::write(tool.path("f"), "four").unwrap();
    // The store may be looked at in this very moment.
    while tool.run(&["put", "f", "cats/tom"]).code != Some(0) {}
    assert!(told.next().unwrap().unwrap().ends_with("put cats/tom (4 B)"));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
