//! What the tool says when things are wrong: in words of the tool, and with the command that helps.

use std::fs;
use std::path::Path;

use crate::tool::{Tool, noise, paths_below};

/// A store with something in its log, its index and its bulk segments, and a copy of it for each damage.
fn begun() -> Tool {
    let tool = Tool::new();
    // Small segments, because the store is copied often.
    let settings = ossicle::Settings { segment_size: 1 << 20, reserve_bytes: 0, ..Default::default() };
    for round in 0..2 {
        let store = ossicle::Store::builder(tool.store()).settings(settings.clone()).open().unwrap();
        let cats = store.bucket("cats").or_else(|_| store.create_bucket("cats")).unwrap();
        cats.put(&format!("small-{round}"), "meow").unwrap();
        cats.put("small", "meow").unwrap();
        cats.put("large", vec![b'x'; 500_000]).unwrap();
        cats.put("other", vec![b'y'; 100_000]).unwrap();
        store.close().unwrap();
    }
    tool
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in paths_below(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        if path.is_dir() {
            fs::create_dir_all(target).unwrap();
        }
    }
    for path in paths_below(from).into_iter().filter(|path| path.is_file()) {
        fs::copy(&path, to.join(path.strip_prefix(from).unwrap())).unwrap();
    }
}

/// Does away with a file of a store.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 4] = [
    ("missing", |path| fs::remove_file(path).unwrap()),
    ("blank", |path| fs::write(path, vec![0; fs::metadata(path).unwrap().len() as usize]).unwrap()),
    ("cut off", |path| fs::File::options().write(true).open(path).unwrap().set_len(10).unwrap()),
    ("rubbish", |path| fs::write(path, noise(fs::metadata(path).unwrap().len() as usize)).unwrap()),
];

#[test]
fn a_store_that_does_not_open_names_the_command_that_saves_it() {
    let tool = begun();
    fs::write(tool.path("f"), "x").unwrap();
    let files = || paths_below(&tool.store()).into_iter().filter(|path| path.is_file());
    let names = files().map(|path| path.strip_prefix(tool.store()).unwrap().display().to_string());
    let names: Vec<String> = names.filter(|name| !["LOCK", "RESERVE"].contains(&name.as_str())).collect();
    let mut saved = 0;
    for (name, (how, damage)) in
        names.iter().flat_map(|name| DAMAGES.iter().map(move |damage| (name, damage)))
    {
        let broken = "bro ken";
        copy(&tool.store(), &tool.path(broken));
        damage(&tool.path(broken).join(name));
        let run = |args: &[&str]| tool.run(&[&["--store", broken], args].concat());
        let advice = format!("`ossicle salvage '{broken}' NEWDIR`");
        let opens = run(&["info"]).code == Some(0);
        let verify = run(&["verify"]);
        let what = format!("{name} {how}: {verify:?}");
        assert!(
            !verify.out.contains("ossicle verify") && !verify.err.contains("ossicle verify"),
            "in a circle: {what}"
        );
        assert!(verify.code == Some(0) || verify.err.contains(&advice), "{what}");
        let mut is_damaged = verify.code != Some(0);
        for command in [&["get", "cats/large", "-"][..], &["put", "f", "cats/new"]] {
            let ran = run(command);
            is_damaged |= ran.code != Some(0);
            // In a store that opens, damage is met where it is; `verify` says how far it goes.
            let helps = ran.err.contains(&advice) || (opens && ran.err.contains("`ossicle verify`"));
            assert!(ran.code == Some(0) || helps, "{what} {command:?}: {ran:?}");
        }
        // A segment without its header and its first record is searched for what they were: seconds in an optimised tool,
        // many minutes in the one that tests run.
        let is_searched = name.ends_with(".seg") && ["blank", "rubbish"].contains(how);
        if is_damaged && !is_searched {
            // And it does help.
            let target = format!("saved{saved}");
            let done = tool.run(&["salvage", broken, &target]);
            let is_there = tool.path(&target).join("SUPERBLOCK").exists();
            assert!(matches!(done.code, Some(0 | 1)) && is_there, "{what}: {done:?}");
            saved += 1;
        }
        fs::remove_dir_all(tool.path(broken)).unwrap();
    }
    assert!(saved > 5, "{saved} of {names:?}");
}

/// A name in Rust in what the tool says.
fn rust_name(said: &str) -> Option<&str> {
    let looks = |word: &&str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.contains("::")
            || (bare.contains('_') && !bare.starts_with("OSSICLE_") && !bare.contains('/'))
            || (word.starts_with('`') && word.contains('.') && word.ends_with('`'))
            || word.contains("(true)")
            || word.contains("(false)")
            || word.contains("()")
    };
    said.split_whitespace().find(looks)
}

#[test]
fn no_error_of_the_tool_names_a_rust_call() {
    let tool = begun();
    let run = |args: &[&str]| {
        let ran = tool.run(args);
        assert_ne!(ran.code, Some(0), "{args:?}: {ran:?}");
        assert_eq!(rust_name(&ran.err), None, "{args:?}: {}", ran.err);
        assert_eq!(rust_name(&ran.out), None, "{args:?}: {}", ran.out);
        ran.err
    };
    fs::write(tool.path("f"), "x").unwrap();
    fs::write(tool.path("key"), [7; 32]).unwrap();
    assert!(run(&["put", "f", "dogs/k"]).contains("make it with `ossicle mb`"));
    assert_eq!(run(&["mb", "cats"]), "ossicle: the bucket cats exists already\n");
    assert!(run(&["put", "f", "cats/small", "--if-absent"]).contains("`--if-absent`"));
    assert!(run(&["put", "f", "cats/k", "--sse", "AES256"]).contains("`--key-file`"));
    assert!(run(&["put", "f", "cats/k", "--sse", "KMS:a"]).contains("`--kms-key NAME=FILE`"));
    tool.ok(&["put", "f", "cats/mine", "--customer-key", "key"]);
    assert!(run(&["cat", "cats/mine"]).contains("`--customer-key FILE`"));
    tool.ok(&["put", "f", "cats/cold", "--class", "Archive"]);
    assert!(run(&["cat", "cats/cold"]).contains("`ossicle restore`"));
    tool.ok(&["versioning", "cats", "enabled"]);
    tool.ok(&["put", "f", "cats/small"]);
    let version = tool.ok(&["versions", "cats/small"]).split_whitespace().nth(3).unwrap().to_string();
    assert!(run(&["class", "cats/large", "--version", &version]).contains("`ossicle versions` lists"));
    assert!(run(&["ls", "--as-of", "1999-12-31", "cats"]).contains("`ossicle history`"));
    let access = "<LifecycleConfiguration><Rule><ID>r</ID><Prefix>a</Prefix><Status>Enabled</Status><Transition>\
                  <Days>30</Days><StorageClass>IA</StorageClass><IsAccessTime>true</IsAccessTime>\
                  <ReturnToStdWhenVisit>false</ReturnToStdWhenVisit></Transition></Rule></LifecycleConfiguration>";
    fs::write(tool.path("rules.xml"), access).unwrap();
    assert!(
        run(&["lifecycle", "set", "cats", "rules.xml"])
            .contains("`ossicle lifecycle monitor BUCKET enabled`")
    );
    tool.ok(&["--store", "sealed", "--key-file", "key", "mb", "cats"]);
    tool.ok(&["--store", "sealed", "--key-file", "key", "history", "1d"]);
    let shred = ["--store", "sealed", "--key-file", "key", "key", "shred", "cats", "k", "--yes"];
    assert!(run(&shred).contains("`ossicle history off`"));
    for args in [
        &["ls", "--store", "sealed"][..],
        &["--key-file", "key", "ls"],
        &["--key-file", "f", "ls"],
        &["--passphrase", "--store", "nowhere", "ls"],
        &["--store", "nowhere", "ls"],
        &["--store", "f", "ls"],
        &["rb", "cats"],
        &["mb", "No"],
        &["get", "cats/small", "f"],
        &["get", "cats/nope", "."],
        &["cat", "cats/small", "--range", "9-"],
        &["cp", "cats/large", "cats/small", "--if-absent"],
        &["cp", "--version", "nonsense", "cats/large", "cats/x"],
        &["mv", "-r", "cats/nope", "dogs/x"],
        &["tag", "cats/large", "a%b=1"],
        &["class", "cats/cold", "Standard"],
        &["restore", "cats/large"],
        &["restore", "cats/cold", "--days", "99"],
        &["versioning", "cats", "perhaps"],
        &["fork", "cats", "cats"],
        &["diff", "cats"],
        &["tier", "Archive", "--dir", "/proc/nowhere"],
        &["lifecycle", "set", "cats", "f"],
        &["encryption", "set", "cats", "AES256"],
        &["encryption", "set", "cats", "ROT13"],
        &["encryption", "rotate", "dogs"],
        &["encryption", "rotate", "cats"],
        &["budget", "set", "0", "cats", "--headroom", "1G"],
        &["budget", "show"],
        &["key", "shred", "cats", "--yes"],
        &["key", "reencrypt"],
        &["key", "rewrap"],
        &["backup", "store", "store"],
        &["backup", "store", "store/log"],
        &["backup", "nowhere", "backup"],
        &["restore-backup", "store", "store"],
        &["restore-backup", "nowhere", "again"],
        &["restore-backup", "store", "sealed"],
        &["restore", "cats/small"],
        &["salvage", "nowhere", "again"],
        &["salvage", "store", "sealed"],
        &["import", "nowhere", "cats"],
        &["import", "f", "cats"],
        &["export", "cats", "store/x"],
        &["feed", "--cursor", "nope"],
        &["put", "f", "cats/k", "--metadata", "ü=1"],
        &["put", "f", "cats/k", "--metadata", "nopair"],
        &["history", "1 year"],
        &["frobnicate"],
    ] {
        run(args);
    }
}

#[test]
fn no_help_names_a_rust_call_or_a_place_that_is_cleaned() {
    let tool = Tool::new();
    let commands = tool.ok(&["--help"]);
    let names = commands.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = names
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 30, "{names:?}");
    assert_eq!(rust_name(&commands), None);
    for name in names {
        let help = tool.ok(&[name, "--help"]);
        assert_eq!(rust_name(&help), None, "{name}");
    }
    assert!(commands.contains("Exit codes:") && commands.contains("130"), "{commands}");
}
