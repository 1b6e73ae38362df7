//! What never was is not deleted, and a command that finds nothing to work on says so.

use std::fs;

use crate::tool::Tool;

fn begun(keys: &[&str]) -> Tool {
    let tool = Tool::new();
    let objects: Vec<(&str, &str)> = keys.iter().map(|key| (*key, "x")).collect();
    tool.plant(&objects, ossicle::PutOptions::new);
    tool
}

/// The number of the newest commit.
fn last_commit(tool: &Tool) -> u64 {
    let info = tool.ok(&["info"]);
    info.lines().find_map(|line| line.strip_prefix("last commit ")).unwrap().parse().unwrap()
}

/// The keys that have delete markers.
fn markers(tool: &Tool) -> Vec<String> {
    let listed = tool.ok(&["versions", "cats"]);
    let deleted = listed.lines().filter(|line| line.trim_start().starts_with("deleted"));
    deleted.map(|line| line.split_whitespace().last().unwrap().to_string()).collect()
}

#[test]
fn rm_r_marks_only_what_there_was_in_one_commit() {
    let tool = begun(&["al/k", "al/k2", "alm"]);
    tool.ok(&["versioning", "cats", "enabled"]);
    let before = last_commit(&tool);
    assert_eq!(tool.ok(&["rm", "-r", "cats/al"]), "deleted 2 objects\n");
    assert_eq!((markers(&tool), last_commit(&tool)), (vec!["al/k".into(), "al/k2".into()], before + 1));
    // What is deleted already is not deleted again, and what never was is not either.
    for gone in
        [&["rm", "-r", "cats/al"][..], &["rm", "cats/al"], &["rm", "cats/al/k"], &["rm", "-r", "cats/nope"]]
    {
        assert!(tool.fails(gone).contains("there is no object"), "{gone:?}");
        assert_eq!(tool.ok(&[gone, &["-f"]].concat()).replace("deleted 0 objects\n", ""), "");
    }
    assert_eq!((markers(&tool).len(), last_commit(&tool)), (2, before + 1));
}

#[test]
fn rm_r_of_an_object_takes_it_with_what_lies_below_it_in_one_commit() {
    for versioned in [false, true] {
        let tool = begun(&["al", "al/k", "al/k2", "alm"]);
        if versioned {
            tool.ok(&["versioning", "cats", "enabled"]);
        }
        let before = last_commit(&tool);
        assert_eq!(tool.ok(&["rm", "-r", "cats/al"]), "deleted 3 objects\n");
        assert_eq!((tool.ok(&["ls", "-r", "cats"]).as_str(), last_commit(&tool)), ("alm\n", before + 1));
        assert_eq!(markers(&tool).len(), if versioned { 3 } else { 0 });
        assert_eq!(tool.ok(&["rm", "-r", "cats/alm"]), "deleted 1 object\n");
    }
}

#[test]
fn rm_r_of_many_goes_to_the_end_past_what_is_protected() {
    let tool = Tool::new();
    let many: Vec<String> = (0..2100).map(|number| format!("a/{number:04}")).collect();
    let mut objects: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "x")).collect();
    objects.push(("a", "x"));
    tool.plant(&objects, || ossicle::PutOptions::new().durability(ossicle::Durability::Buffered));
    let store = ossicle::Store::open(tool.store()).unwrap();
    store.bucket("cats").unwrap().set_legal_hold("a/0003", true).unwrap();
    store.close().unwrap();
    let told = tool.fails(&["rm", "-r", "cats/a"]);
    assert!(told.contains("cats/a/0003: ") && told.contains("2100 deleted, 1 not"), "{told}");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "a/0003\n");
}

#[test]
fn a_command_that_finds_nothing_says_so_and_ends_with_1() {
    let tool = begun(&["al/k", "one"]);
    tool.ok(&["mb", "empty"]);
    fs::create_dir(tool.path("tree")).unwrap();
    fs::write(tool.path("tree/f"), "x").unwrap();
    let before = last_commit(&tool);
    for (args, word) in [
        (&["export", "cats/nope", "out"][..], "nothing below cats/nope"),
        (&["export", "-n", "cats/nope", "out"], "nothing below cats/nope"),
        (&["export", "cats/one", "out"], "`ossicle get`"),
        (&["mv", "-r", "cats/nope", "cats/x"], "nothing below cats/nope"),
        (&["mv", "cats/nope", "cats/x"], "does not exist"),
        (&["cp", "-r", "cats/nope", "cats/x"], "nothing below cats/nope"),
        (&["cp", "cats/nope", "cats/x"], "does not exist"),
        (&["rm", "cats/nope"], "there is no object cats/nope"),
        (&["rm", "-r", "cats/nope"], "nothing below it"),
        (&["rm", "-r", "empty"], "there is nothing in empty"),
        (&["ls", "cats/nope"], "no key in cats begins with nope"),
        (&["ls", "-r", "cats/nope"], "no key in cats begins with nope"),
        (&["du", "cats/nope"], "no key in cats begins with nope"),
        (&["versions", "cats/nope"], "no key in cats begins with nope"),
        (&["undelete", "cats/nope"], "nope"),
        (&["undelete", "cats/one"], "cats/one is not deleted"),
        (&["get", "cats/nope", "out"], "does not exist"),
        (&["cat", "cats/nope"], "does not exist"),
        (&["stat", "cats/nope"], "does not exist"),
        (&["tag", "cats/nope"], "does not exist"),
        (&["tag", "--clear", "cats/nope"], "does not exist"),
        (&["class", "cats/nope", "IA"], "does not exist"),
        (&["restore", "cats/nope"], "does not exist"),
        (&["pin", "cats/nope"], "does not exist"),
        (&["unpin", "cats/nope"], "does not exist"),
        (&["keep", "cats/nope"], "does not exist"),
        (&["rb", "nope"], "does not exist"),
        (&["diff", "cats", "nope"], "does not exist"),
        (&["fork", "nope", "lab"], "does not exist"),
        (&["lifecycle", "run", "cats"], "no lifecycle rules"),
        (&["lifecycle", "show", "cats"], "no lifecycle rules"),
        (&["budget", "show", "cats"], "no budget"),
        (&["feed", "--cursor", "nope"], "no cursor nope"),
    ] {
        let told = tool.fails(args);
        assert!(told.contains(word), "{args:?}: {told}");
    }
    assert_eq!(last_commit(&tool), before, "nothing was done, so nothing was written");
    assert!(!tool.path("out").exists());
}

#[test]
fn what_was_asked_for_and_is_so_already_is_done() {
    let tool = begun(&["one"]);
    tool.ok(&["mb", "empty"]);
    for args in [
        &["rm", "-f", "cats/nope"][..],
        &["rm", "-rf", "cats/nope", "empty"],
        &["ls", "empty"],
        &["versions", "empty"],
        &["export", "empty", "out"],
        &["diff", "empty", "empty"],
        &["unpin", "cats/one"],
        &["tag", "--clear", "cats/one"],
        &["lifecycle", "clear", "cats"],
        &["budget", "clear", "cats"],
        &["compact"],
    ] {
        tool.ok(args);
    }
}

#[test]
fn undelete_goes_on_behind_what_it_cannot_bring_back() {
    let tool = begun(&["a", "b"]);
    tool.ok(&["versioning", "cats", "enabled"]);
    tool.ok(&["rm", "cats/a", "cats/b"]);
    let told = tool.fails(&["undelete", "cats/a", "cats/nope", "cats/b"]);
    assert!(told.contains("nope"), "{told}");
    assert_eq!(tool.ok(&["ls", "cats"]), "a\nb\n");
}

#[test]
fn an_exclude_that_leaves_nothing_out_is_told() {
    let tool = Tool::new();
    fs::create_dir_all(tool.path("tree/deep")).unwrap();
    for name in ["a.jpg", "b.png", "deep/c.jpg"] {
        fs::write(tool.path("tree").join(name), name).unwrap();
    }
    let ran = tool.run(&["import", "tree", "cats", "--exclude", "*.jpg"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "b.png\ndeep/\n");
    for dry in [&["-n"][..], &[]] {
        let told = tool
            .fails(&[&["import", "tree", "cats", "--exclude", "*.gif", "--exclude", "?.jpg"], dry].concat());
        assert!(told.contains("`--exclude *.gif` left nothing out") && !told.contains("jpg"), "{told}");
    }
    // The rest was taken.
    fs::write(tool.path("tree/d.png"), "d").unwrap();
    tool.fails(&["import", "tree", "cats", "--exclude", "*.gif"]);
    assert_eq!(tool.ok(&["cat", "cats/d.png"]), "d");
}
