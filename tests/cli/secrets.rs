//! Passphrases that protect nothing, and what comes out of the environment; directories and files that are nobody else's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tool::{Ran, Tool, noise, paths_below, ran};

fn with(tool: &Tool, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = tool.command(args);
    ran(command.envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap())
}

fn ok(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

fn refused(ran: Ran, word: &str) {
    assert!(ran.code == Some(1) && ran.err.contains(word), "{word}: {ran:?}");
}

const GIVEN: [(&str, &str); 1] = [("OSSICLE_PASSPHRASE", "correct horse")];

#[test]
fn an_empty_passphrase_makes_no_store_and_no_key() {
    let tool = Tool::new();
    let empty = [("OSSICLE_PASSPHRASE", "")];
    refused(with(&tool, &["--passphrase", "mb", "cats"], &empty), "OSSICLE_PASSPHRASE is empty");
    assert!(!tool.store().exists());
    ok(with(&tool, &["--passphrase", "mb", "cats"], &GIVEN));
    let both = [GIVEN[0], ("OSSICLE_NEW_PASSPHRASE", "")];
    refused(with(&tool, &["key", "rotate", "--new-passphrase"], &both), "OSSICLE_NEW_PASSPHRASE is empty");
    refused(with(&tool, &["--passphrase", "ls"], &empty), "is empty");
    ok(with(&tool, &["--passphrase", "ls"], &GIVEN));
}

#[test]
fn a_passphrase_in_the_environment_alone_encrypts_nothing_and_refuses_nothing() {
    let tool = Tool::new();
    let made = with(&tool, &["mb", "cats"], &GIVEN);
    assert!(made.code == Some(0) && made.err.contains("without encryption"), "{made:?}");
    // Plain it is, and plain it opens, whatever the environment says.
    assert_eq!(tool.ok(&["key", "show"]), "the store is not encrypted\n");
    for args in [&["ls"][..], &["mb", "dogs"], &["verify"], &["backup", "store", "backup"]] {
        assert_eq!(with(&tool, args, &GIVEN).err, "", "{args:?}");
    }
    ok(with(&tool, &["restore-backup", "backup", "again"], &GIVEN));
    ok(with(&tool, &["salvage", "backup", "saved"], &GIVEN));
    refused(with(&tool, &["--passphrase", "ls"], &GIVEN), "not encrypted");
}

#[test]
fn a_passphrase_in_the_environment_opens_what_needs_one() {
    let tool = Tool::new();
    ok(with(&tool, &["--passphrase", "mb", "cats"], &GIVEN));
    refused(tool.run(&["ls"]), "passphrase");
    for args in [&["ls"][..], &["--passphrase", "ls"]] {
        assert_eq!(ok(with(&tool, args, &GIVEN)), "cats\n", "{args:?}");
        refused(with(&tool, args, &[("OSSICLE_PASSPHRASE", "wrong horse")]), "does not fit");
    }
    ok(with(&tool, &["backup", "store", "backup"], &GIVEN));
    ok(with(&tool, &["restore-backup", "backup", "again"], &GIVEN));
    ok(with(&tool, &["salvage", "again", "saved"], &GIVEN));
    refused(tool.run(&["--store", "saved", "ls"]), "passphrase");
    ok(with(&tool, &["key", "rewrap"], &GIVEN));
    let both = [GIVEN[0], ("OSSICLE_NEW_PASSPHRASE", "battery staple")];
    ok(with(&tool, &["key", "rotate", "--new-passphrase"], &both));
    refused(with(&tool, &["ls"], &GIVEN), "does not fit");
}

#[test]
fn without_a_terminal_a_missing_passphrase_is_said_clearly() {
    // `setsid` leaves the terminal of whoever runs these tests behind.
    let tool = Tool::new();
    let mut command = Command::new("setsid");
    let run = tool.command(&["--passphrase", "mb", "cats"]);
    command
        .args(["-w", run.get_program().to_str().unwrap()])
        .args(run.get_args())
        .env("OSSICLE_STORE", tool.store());
    let ran = ran(command.stdin(Stdio::null()).output().unwrap());
    refused(ran, "there is no terminal to ask for the passphrase at; set OSSICLE_PASSPHRASE");
    assert!(!tool.store().exists());
}

#[test]
fn key_files_without_a_key_are_refused_by_name() {
    let tool = Tool::new();
    for (bytes, word) in [
        (&b""[..], "is empty"),
        (b"secret", "too short"),
        (&[0; 32], "only zeros"),
        (&[b'0'; 64], "only zeros"),
    ] {
        fs::write(tool.path("key"), bytes).unwrap();
        refused(tool.run(&["--key-file", "key", "mb", "cats"]), word);
        refused(tool.run(&["--kms-key", "a=key", "mb", "cats"]), word);
        assert!(!tool.store().exists());
    }
    tool.ok(&["mb", "cats"]);
    for bytes in [&b""[..], b"secret", &[0; 32]] {
        fs::write(tool.path("key"), bytes).unwrap();
        refused(tool.run(&["put", "key", "cats/k", "--customer-key", "key"]), "key file");
        refused(tool.run(&["key", "rotate", "--new-key-file", "key"]), "key file");
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A tree with directories of all kinds of modes.
fn private_tree(tool: &Tool) -> Vec<(&'static str, u32)> {
    let modes = vec![
        ("", 0o700),
        ("open", 0o755),
        ("group", 0o750),
        ("closed", 0o500),
        ("closed/deep", 0o711),
        ("closed/deep/empty", 0o700),
        ("open/private", 0o700),
    ];
    let root = tool.path("tree");
    for (name, _) in &modes {
        fs::create_dir_all(root.join(name)).unwrap();
        if !name.ends_with("empty") {
            fs::write(root.join(name).join("letter"), "dear ann").unwrap();
        }
    }
    modes.iter().rev().for_each(|(name, mode)| set_mode(&root.join(name), *mode));
    modes
}

#[test]
fn private_directories_are_private_again() {
    for at in ["cats", "cats/some/where"] {
        let tool = Tool::new();
        let modes = private_tree(&tool);
        tool.ok(&["import", "tree", at]);
        tool.ok(&["export", at, "again"]);
        for (name, wanted) in &modes {
            let found = mode(&tool.path("again").join(name));
            assert_eq!(format!("{found:o}"), format!("{wanted:o}"), "{at} {name:?}");
        }
        // Nothing changed, so nothing is taken; a mode that changed is.
        assert!(tool.ok(&["import", "tree", at]).starts_with("imported 0 files"));
        set_mode(&tool.path("tree/open/private"), 0o755);
        set_mode(&tool.path("tree/group"), 0o700);
        set_mode(&tool.path("tree"), 0o711);
        tool.ok(&["import", "tree", at]);
        tool.ok(&["export", at, "third"]);
        for (name, wanted) in [("open/private", 0o755), ("group", 0o700), ("", 0o711)] {
            assert_eq!(mode(&tool.path("third").join(name)), wanted, "{at} {name:?}");
        }
        assert!(tool.ok(&["verify"]).contains("clean"));
    }
}

#[test]
fn a_private_directory_is_nobody_elses_on_its_way_out_either() {
    let tool = Tool::new();
    private_tree(&tool);
    let body = noise(3_000_000);
    for number in 0..40 {
        fs::write(tool.path("tree/open/private").join(format!("f{number}")), &body).unwrap();
        fs::write(tool.path("tree").join(format!("f{number}")), &body).unwrap();
    }
    tool.ok(&["import", "tree", "cats"]);
    let mut child = tool
        .command(&["export", "cats", "again"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut looks = 0;
    while child.try_wait().unwrap().is_none() {
        for name in ["", "open/private"] {
            if let Ok(meta) = fs::symlink_metadata(tool.path("again").join(name)) {
                assert_eq!(meta.mode() & 0o077, 0, "{name:?}");
                looks += 1;
            }
        }
    }
    assert!(child.wait().unwrap().success() && looks > 0, "{looks}");
}

#[test]
fn an_export_that_was_killed_leaves_private_what_was() {
    let tool = Tool::new();
    private_tree(&tool);
    for number in 0..30 {
        fs::write(tool.path("tree/group").join(format!("f{number}")), noise(3_000_000)).unwrap();
    }
    tool.ok(&["import", "tree", "cats"]);
    let mut child = tool
        .command(&["export", "cats", "again"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !tool.path("again/group").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((mode(&tool.path("again")), mode(&tool.path("again/group"))), (0o700, 0o700));
    // The same command goes on and ends it.
    tool.ok(&["export", "cats", "again"]);
    assert_eq!(mode(&tool.path("again/group")), 0o750);
    crate::tool::assert_same(&tool.path("tree"), &tool.path("again"));
}

#[test]
fn a_private_file_is_private_when_it_is_fetched_alone() {
    let tool = Tool::new();
    fs::create_dir(tool.path("tree")).unwrap();
    fs::write(tool.path("tree/letter"), "dear ann").unwrap();
    set_mode(&tool.path("tree/letter"), 0o600);
    tool.ok(&["import", "tree", "cats"]);
    tool.ok(&["get", "cats/letter", "again"]);
    assert_eq!(mode(&tool.path("again")), 0o600);
}

/// Bytes of disk that files take.
fn disk(paths: &[std::path::PathBuf]) -> u64 {
    paths.iter().map(|path| fs::symlink_metadata(path).unwrap().blocks() * 512).sum()
}

#[test]
fn holes_stay_holes() {
    let tool = Tool::new();
    fs::create_dir(tool.path("tree")).unwrap();
    let path = tool.path("tree/sparse");
    let file = fs::File::create(&path).unwrap();
    for at in [0, 9_000_001, 63 << 20] {
        std::os::unix::fs::FileExt::write_all_at(&file, &noise(300_000), at).unwrap();
    }
    file.set_len(64 << 20).unwrap();
    assert!(disk(std::slice::from_ref(&path)) < 2 << 20);
    let plain = tool.run(&["import", "tree", "cats"]);
    assert!(plain.code == Some(0) && plain.err.contains("`--compress`"), "{plain:?}");
    let small = tool.run(&["--store", "small", "import", "--compress", "tree", "cats"]);
    assert_eq!((small.code, small.err.as_str()), (Some(0), ""), "{small:?}");
    let taken = |store: &str| {
        let files = paths_below(&tool.path(store)).into_iter().filter(|path| path.is_file());
        disk(&files.collect::<Vec<_>>())
    };
    // Plain bodies are stored as they read; compressed ones take what is in them.
    assert!(taken("store") > 60 << 20 && taken("small") < 10 << 20, "{} {}", taken("store"), taken("small"));
    for (store, out) in [("store", "again"), ("small", "other")] {
        tool.ok(&["--store", store, "export", "cats", out]);
        tool.ok(&["--store", store, "get", "cats/sparse", &format!("{out}/single")]);
        for name in ["sparse", "single"] {
            let back = tool.path(out).join(name);
            assert!(fs::read(&back).unwrap() == fs::read(&path).unwrap());
            assert!(disk(&[back]) < 2 << 20);
        }
        assert!(tool.ok(&["--store", store, "verify"]).contains("clean"));
    }
}
