//! The commands on single objects and buckets.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use crate::tool::{Tool, bare, ran};

#[test]
fn buckets_are_made_listed_and_removed() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    tool.ok(&["mb", "dogs"]);
    assert_eq!(tool.ok(&["ls"]), "cats\ndogs\n");
    assert!(tool.fails(&["mb", "cats"]).contains("exists already"));
    assert!(tool.fails(&["mb", "No_Good"]).contains("not a bucket name"));
    tool.ok(&["rb", "dogs"]);
    assert_eq!(tool.ok(&["ls"]), "cats\n");
    assert!(tool.fails(&["rb", "dogs"]).contains("dogs"));
    fs::write(tool.path("f"), "x").unwrap();
    tool.ok(&["put", "f", "cats/tom"]);
    assert!(
        tool.fails(&["rb", "cats"]).contains("not empty")
            || tool.fails(&["rb", "cats"]).contains("has objects")
    );
}

#[test]
fn a_refused_bucket_name_makes_no_store() {
    let tool = Tool::new();
    tool.fails(&["mb", "No_Good"]);
    assert!(!tool.store().exists());
}

#[test]
fn a_file_goes_in_and_comes_out() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    let body = crate::tool::noise(700_000);
    fs::write(tool.path("in"), &body).unwrap();
    tool.ok(&[
        "put",
        "in",
        "cats/a/tom",
        "--content-type",
        "image/png",
        "--metadata",
        "owner=ann",
        "--metadata",
        "n=1",
    ]);
    tool.ok(&["put", "in", "cats"]);
    tool.ok(&["put", "in", "cats/b/"]);
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "a/tom\nb/in\nin\n");
    assert!(tool.fails(&["put", "in", "cats/a/tom", "--if-absent"]).contains("exists already"));
    let stat = tool.ok(&["stat", "cats/a/tom"]);
    for part in ["image/png", "owner: ann", "n: 1", "700000"] {
        assert!(stat.contains(part), "{stat}");
    }
    tool.ok(&["get", "cats/a/tom", "out"]);
    assert_eq!(fs::read(tool.path("out")).unwrap(), body);
    tool.ok(&["get", "cats/a/tom"]);
    assert_eq!(fs::read(tool.path("tom")).unwrap(), body);
    let streamed = tool.command(&["get", "cats/a/tom", "-"]).output().unwrap();
    assert_eq!(streamed.stdout, body);
}

#[test]
fn standard_input_becomes_an_object() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    let mut child = tool.command(&["put", "-", "cats/piped"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through a pipe").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(tool.ok(&["cat", "cats/piped"]), "through a pipe");
    assert_eq!(tool.run(&["put", "-", "cats/"]).code, Some(2));
}

#[test]
fn get_keeps_a_file_that_is_there_unless_forced() {
    let tool = Tool::new();
    tool.plant(&[("tom", "new")], ossicle::PutOptions::new);
    fs::write(tool.path("tom"), "old").unwrap();
    assert!(tool.fails(&["get", "cats/tom"]).contains("--force"));
    assert_eq!(fs::read_to_string(tool.path("tom")).unwrap(), "old");
    tool.ok(&["get", "cats/tom", "--force"]);
    assert_eq!(fs::read_to_string(tool.path("tom")).unwrap(), "new");
    fs::create_dir(tool.path("inside")).unwrap();
    tool.ok(&["get", "cats/tom", "inside"]);
    assert_eq!(fs::read_to_string(tool.path("inside/tom")).unwrap(), "new");
    assert!(tool.fails(&["get", "cats/none", "none"]).contains("none"));
    assert!(!tool.path("none").exists());
    let left: Vec<_> =
        fs::read_dir(tool.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".ossicle")), "{left:?}");
}

#[test]
fn cat_gives_ranges_as_http_counts_them() {
    let tool = Tool::new();
    tool.plant(&[("tom", "0123456789"), ("tim", "abc")], ossicle::PutOptions::new);
    assert_eq!(tool.ok(&["cat", "cats/tom", "--range", "2-4"]), "234");
    assert_eq!(tool.ok(&["cat", "cats/tom", "--range", "7-"]), "789");
    assert_eq!(tool.ok(&["cat", "cats/tom", "--range", "-2"]), "89");
    assert_eq!(tool.ok(&["cat", "cats/tom", "cats/tim"]), "0123456789abc");
    assert!(tool.run(&["cat", "cats/tom", "--range", "4-2"]).code == Some(2));
    tool.fails(&["cat", "cats/tom", "--range", "10-"]);
    tool.fails(&["cat", "cats/none"]);
}

#[test]
fn listings_roll_up_recurse_and_tell_sizes() {
    let tool = Tool::new();
    tool.plant(&[("a/x", "1"), ("a/y", "22"), ("b", "333"), ("a", "4444")], ossicle::PutOptions::new);
    assert_eq!(tool.ok(&["ls", "cats"]), "a\na/\nb\n");
    assert_eq!(tool.ok(&["ls", "cats/a/"]), "a/x\na/y\n");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "a\na/x\na/y\nb\n");
    let long = tool.ok(&["ls", "-l", "cats"]);
    let fields: Vec<Vec<&str>> = long.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((fields[0][0], fields[0][3], fields[0][5]), ("4", "Standard", "a"));
    assert_eq!(fields[1].last(), Some(&"a/"));
    assert_eq!(tool.ok(&["du", "cats/a/"]).split_whitespace().next(), Some("3"));
    assert!(tool.ok(&["du"]).lines().last().unwrap().contains("4 objects"));
    assert!(tool.ok(&["ls", "-l"]).contains("cats"));
    tool.fails(&["ls", "dogs"]);
}

#[test]
fn rm_takes_a_tree_and_not_its_namesakes() {
    let tool = Tool::new();
    let many: Vec<String> = (0..2500).map(|number| format!("a/{number}")).collect();
    let objects: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "x")).collect();
    tool.plant(&objects, || ossicle::PutOptions::new().durability(ossicle::Durability::Buffered));
    tool.plant(&[("a", "x"), ("ab", "x"), ("ab/c", "x")], ossicle::PutOptions::new);
    assert_eq!(tool.ok(&["rm", "-r", "cats/a"]), "deleted 2,501 objects\n");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "ab\nab/c\n");
    assert!(tool.fails(&["rm", "cats/zz"]).contains("cats/zz"));
    tool.ok(&["rm", "-f", "cats/zz", "cats/ab"]);
    assert_eq!(tool.run(&["rm", "cats"]).code, Some(2));
    tool.ok(&["rm", "-r", "cats"]);
    tool.ok(&["rb", "cats"]);
}

#[test]
fn a_store_is_verified_compacted_and_described() {
    let tool = Tool::new();
    let body = "x".repeat(100_000);
    tool.plant(&[("a", &body), ("b", &body)], ossicle::PutOptions::new);
    assert!(tool.ok(&["verify"]).contains("clean"));
    let info = tool.ok(&["info"]);
    assert!(info.contains("objects     2") && info.contains("200000"), "{info}");
    tool.ok(&["rm", "cats/a"]);
    assert!(tool.ok(&["compact"]).contains("of disk"));
    assert!(tool.ok(&["verify"]).contains("clean"));
    assert_eq!(tool.ok(&["cat", "cats/b"]), body);
}

#[test]
fn verify_names_what_is_damaged() {
    let tool = Tool::new();
    let body = "distinctive ".repeat(20_000);
    tool.plant(&[("a", &body)], ossicle::PutOptions::new);
    let mut damaged = 0;
    for path in crate::tool::paths_below(&tool.store()).into_iter().filter(|path| path.is_file()) {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(12).position(|window| window == b"distinctive ") {
            bytes[at + 100_000] ^= 1;
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    let ran = tool.run(&["verify"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("damaged") && !ran.out.contains("clean"), "{ran:?}");
    assert!(ran.out.starts_with("cats/a: "), "the object is named: {ran:?}");
    assert!(ran.err.contains("`ossicle salvage "), "{ran:?}");
    // The damaged object is not handed out, and leaves no half file.
    tool.fails(&["get", "cats/a", "half"]);
    assert!(!tool.path("half").exists());
}

#[test]
fn an_index_that_is_damaged_alone_is_removed_and_made_again() {
    let tool = Tool::new();
    let entries: Vec<(String, String)> = (0..800).map(|n| (format!("{n:04}"), n.to_string())).collect();
    let entries: Vec<(&str, &str)> = entries.iter().map(|(key, body)| (&key[..], &body[..])).collect();
    tool.plant(&entries, ossicle::PutOptions::new);
    let index = tool.store().join("index.tree");
    let sound = fs::read(&index).unwrap();
    let (mut at_opening, mut later) = (0, 0);
    for page in 0..sound.len() / 4096 {
        let mut bytes = sound.clone();
        bytes[page * 4096 + 100..page * 4096 + 200].iter_mut().for_each(|byte| *byte ^= 0xFF);
        fs::write(&index, bytes).unwrap();
        let ran = tool.run(&["verify"]);
        if ran.code == Some(0) {
            // A free page, or the root: then the index was made again without a word.
            continue;
        }
        assert!(ran.err.contains("only the index is damaged") && !ran.err.contains("salvage"), "{ran:?}");
        if ran.out.is_empty() {
            at_opening += 1;
        } else {
            later += 1;
        }
    }
    assert!(at_opening > 0 && later > 0, "{at_opening} when it was opened, {later} behind that");
    fs::remove_file(&index).unwrap();
    assert!(tool.ok(&["verify"]).contains("clean"));
    assert_eq!(tool.ok(&["ls", "cats"]).lines().count(), 800);
}

#[test]
fn without_a_command_the_help_is_shown_as_it_is() {
    let ran = crate::tool::ran(crate::tool::bare(&[]).output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.starts_with("An object store in a directory"), "no error stands before it: {ran:?}");
}

#[test]
fn readers_may_be_many() {
    let tool = Tool::new();
    tool.plant(&[("a", "1")], ossicle::PutOptions::new);
    let held = ossicle::Store::builder(tool.store()).read_only(true).open().unwrap();
    assert_eq!(tool.ok(&["cat", "cats/a"]), "1");
    assert_eq!(tool.ok(&["ls", "cats"]), "a\n");
    // Readers keep no writer away, and a writer no readers.
    let cats = held.bucket("cats").unwrap();
    tool.ok(&["rm", "cats/a"]);
    assert!(cats.exists("a").unwrap(), "the reader stays where it is");
    held.refresh().unwrap();
    assert!(!cats.exists("a").unwrap());
    let writer = ossicle::Store::open(tool.store()).unwrap();
    writer.bucket("cats").unwrap().put("b", "2").unwrap();
    assert_eq!(tool.ok(&["cat", "cats/b"]), "2");
    tool.fails(&["rm", "cats/b"]);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let tool = Tool::new();
    let body = "x".repeat(5_000_000);
    let many: Vec<String> = (0..20_000).map(|number| format!("many/{number:0100}")).collect();
    let objects: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    tool.plant(&[("large", &body)], ossicle::PutOptions::new);
    tool.plant(&objects, || ossicle::PutOptions::new().durability(ossicle::Durability::Buffered));
    for args in [&["cat", "cats/large"][..], &["ls", "-r", "cats"], &["get", "cats/large", "-"]] {
        let mut child = tool.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 10]).unwrap();
        drop(out);
        let ended = ran(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_wrong_command_line_is_told_with_exit_code_2() {
    let tool = Tool::new();
    let wrong = [
        &["frobnicate"][..],
        &["get"],
        &["put", "only-one"],
        &["ls", "/no-bucket"],
        &["stat", "bucket-alone"],
        &["import", ".", "cats", "--jobs", "0"],
        &["put", "f", "cats/k", "--metadata", "nopair"],
    ];
    for args in wrong {
        let ran = tool.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.err.starts_with("ossicle: ") && ran.out.is_empty(), "{args:?}: {ran:?}");
    }
    let homeless = ran(bare(&["ls"]).output().unwrap());
    assert_eq!(homeless.code, Some(2));
    assert!(homeless.err.contains("--store"), "{homeless:?}");
    assert!(tool.fails(&["ls"]).contains("there is no store"));
    assert!(!tool.store().exists());
}

#[test]
fn help_is_there_for_every_command() {
    let tool = Tool::new();
    let all = tool.ok(&["--help"]);
    for command in [
        "mb", "rb", "ls", "put", "get", "cat", "rm", "stat", "du", "import", "export", "verify", "compact",
        "info", "tour",
    ] {
        assert!(all.contains(command), "{all}");
        assert!(tool.ok(&[command, "--help"]).contains("Usage"), "{command}");
    }
    assert!(tool.ok(&["--version"]).starts_with("ossicle "));
}
