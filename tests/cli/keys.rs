//! Encrypted stores as users of the tool have them.

use std::fs;
use std::process::Stdio;

use crate::tool::{Ran, Tool, ran};

fn with(tool: &Tool, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = tool.command(args);
    ran(command.envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap())
}

fn ok(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

#[test]
fn a_store_is_made_with_a_key_file_and_opened_with_no_other() {
    let tool = Tool::new();
    fs::write(tool.path("one"), [7; 32]).unwrap();
    fs::write(tool.path("two"), "0f".repeat(32) + "\n").unwrap();
    fs::write(tool.path("letter"), "dear canary-in-the-mine").unwrap();
    tool.ok(&["--key-file", "one", "mb", "cats"]);
    tool.ok(&["--key-file", "one", "put", "letter", "cats/letter"]);
    assert_eq!(tool.ok(&["--key-file", "one", "cat", "cats/letter"]), "dear canary-in-the-mine");
    assert_eq!(
        ok(with(&tool, &["cat", "cats/letter"], &[("OSSICLE_KEY_FILE", "one")])),
        "dear canary-in-the-mine"
    );
    for wrong in [&["ls"][..], &["--key-file", "two", "ls"], &["--key-file", "letter", "ls"]] {
        let told = tool.fails(wrong);
        assert!(told.contains("key"), "{told}");
    }
    let shown = tool.ok(&["--key-file", "one", "key", "show"]);
    assert!(shown.contains("static-"), "{shown}");
    for entry in fs::read_dir(tool.path("store/log")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }

    tool.ok(&["--key-file", "one", "backup", "store", "backup"]);
    tool.ok(&["--key-file", "one", "restore-backup", "backup", "again"]);
    tool.ok(&["--key-file", "one", "salvage", "backup", "saved"]);
    tool.ok(&["--key-file", "one", "key", "rotate", "--new-key-file", "two"]);
    tool.fails(&["--key-file", "one", "ls"]);
    tool.ok(&["--key-file", "two", "key", "rewrap"]);
    assert_eq!(tool.ok(&["--key-file", "two", "cat", "cats/letter"]), "dear canary-in-the-mine");
    for old in ["backup", "again", "saved"] {
        assert_eq!(
            tool.ok(&["--key-file", "one", "--store", old, "cat", "cats/letter"]),
            "dear canary-in-the-mine"
        );
    }
    assert!(tool.ok(&["--key-file", "two", "verify"]).contains("clean"));
}

#[test]
fn a_passphrase_opens_what_it_has_made() {
    let tool = Tool::new();
    let phrase = [("OSSICLE_PASSPHRASE", "correct horse")];
    ok(with(&tool, &["--passphrase", "mb", "cats"], &phrase));
    assert_eq!(ok(with(&tool, &["ls"], &phrase)).trim(), "cats");
    assert!(tool.fails(&["ls"]).contains("passphrase"));
    assert_eq!(with(&tool, &["ls"], &[("OSSICLE_PASSPHRASE", "wrong horse")]).code, Some(1));
    let both = [phrase[0], ("OSSICLE_NEW_PASSPHRASE", "battery staple")];
    ok(with(&tool, &["key", "rotate", "--new-passphrase"], &both));
    assert_eq!(with(&tool, &["ls"], &phrase).code, Some(1));
    ok(with(&tool, &["ls"], &[("OSSICLE_PASSPHRASE", "battery staple")]));
}

#[test]
fn a_plain_store_has_no_key_to_change() {
    let tool = Tool::new();
    fs::write(tool.path("one"), [7; 32]).unwrap();
    tool.ok(&["mb", "cats"]);
    assert!(tool.ok(&["key", "show"]).contains("not encrypted"));
    assert!(tool.fails(&["--key-file", "one", "ls"]).contains("not encrypted"));
    assert!(tool.fails(&["key", "rotate", "--new-key-file", "one"]).contains("not encrypted"));
    assert!(tool.fails(&["key", "rewrap"]).contains("not encrypted"));
}

#[test]
fn objects_and_buckets_are_encrypted_with_named_keys_and_with_ones_own() {
    let tool = Tool::new();
    fs::write(tool.path("one"), [7; 32]).unwrap();
    fs::write(tool.path("mine"), "0f".repeat(32) + "\n").unwrap();
    fs::write(tool.path("letter"), "dear canary-in-the-mine").unwrap();
    let kms = |args: &[&str]| tool.ok(&[&["--kms-key", "letters=one"], args].concat());
    tool.ok(&["mb", "cats"]);
    kms(&["put", "letter", "cats/named", "--sse", "KMS:letters"]);
    tool.ok(&["put", "letter", "cats/mine", "--customer-key", "mine"]);
    assert_eq!(kms(&["cat", "cats/named"]), "dear canary-in-the-mine");
    assert_eq!(tool.ok(&["cat", "cats/mine", "--customer-key", "mine"]), "dear canary-in-the-mine");
    tool.ok(&["get", "cats/mine", "again", "--customer-key", "mine"]);
    assert_eq!(fs::read(tool.path("again")).unwrap(), b"dear canary-in-the-mine");
    for file in ["log", "bulk/0"].iter().flat_map(|dir| fs::read_dir(tool.path("store").join(dir)).unwrap()) {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
    assert!(tool.ok(&["stat", "cats/named"]).contains("encrypted KMS:letters"));
    assert!(tool.ok(&["stat", "cats/mine"]).contains("encrypted customer key "));
    assert!(tool.fails(&["cat", "cats/named"]).contains("letters"));
    assert!(tool.fails(&["cat", "cats/mine"]).contains("key"));
    assert!(tool.fails(&["cat", "cats/mine", "--customer-key", "one"]).contains("another key"));

    assert_eq!(tool.ok(&["encryption", "show", "cats"]).trim(), "none");
    assert!(tool.fails(&["encryption", "set", "cats", "AES256"]).contains("AES256"));
    tool.ok(&["encryption", "set", "cats", "KMS:letters"]);
    assert_eq!(tool.ok(&["encryption", "show", "cats"]).trim(), "KMS:letters");
    kms(&["put", "letter", "cats/default"]);
    assert!(tool.ok(&["stat", "cats/default"]).contains("encrypted KMS:letters"));
    assert!(tool.fails(&["put", "letter", "cats/x"]).contains("letters"));
    assert!(kms(&["encryption", "rotate", "cats"]).starts_with('1'));
    let told = kms(&["encryption", "reencrypt", "cats"]);
    assert!(told.contains("1 older key removed, 0 left"), "{told}");
    assert_eq!(kms(&["cat", "cats/default"]), "dear canary-in-the-mine");
    tool.ok(&["encryption", "clear", "cats"]);
    tool.ok(&["put", "letter", "cats/open"]);
    assert!(!tool.ok(&["stat", "cats/open"]).contains("encrypted"));
}

#[test]
fn what_is_shredded_is_in_no_file_that_the_key_opens() {
    let tool = Tool::new();
    fs::write(tool.path("one"), [7; 32]).unwrap();
    let key = ["--key-file", "one"];
    let with = |args: &[&str]| tool.ok(&[&key[..], args].concat());
    let fails = |args: &[&str]| tool.fails(&[&key[..], args].concat());
    let misused = tool.run(&[&key[..], &["key", "shred", "cats", "a"]].concat());
    assert_eq!((misused.code, misused.err.contains("--yes")), (Some(2), true), "{misused:?}");
    fs::write(tool.path("letter"), "dear mary").unwrap();
    with(&["mb", "cats"]);
    for name in ["cats/a", "cats/b/1", "cats/b/2", "cats/c"] {
        with(&["put", "letter", name]);
    }
    with(&["cp", "cats/c", "cats/copy"]);
    assert!(with(&["cat", "cats/a"]).contains("mary"));
    assert!(with(&["key", "shred", "cats", "a", "--yes"]).contains("shredded 1 object"));
    assert!(with(&["key", "shred", "cats", "--prefix", "b/", "--yes"]).contains("shredded 2 objects"));
    assert!(with(&["key", "reencrypt"]).contains("encrypted again"));
    assert_eq!(with(&["cat", "cats/copy"]), "dear mary");
    assert!(with(&["key", "shred", "cats", "--yes"]).contains("shredded 2 objects"));
    fails(&["cat", "cats/copy"]);
    assert!(with(&["verify"]).contains("clean"));

    let plain = Tool::new();
    plain.ok(&["mb", "cats"]);
    assert!(plain.fails(&["key", "shred", "cats", "--yes"]).contains("only an encrypted store can shred"));
}
