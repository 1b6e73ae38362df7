//! Running the tool, and trees to run it on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary directory with a store to be in it.
pub struct Tool {
    pub dir: tempfile::TempDir,
}

/// What a run of the tool came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Tool {
    pub fn new() -> Tool {
        Tool { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The tool with its store, to be run in the temporary directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("OSSICLE_STORE", self.store()).current_dir(self.dir.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs what must succeed, and gives its output.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        ran.out
    }

    /// Runs what must fail, and gives what it says on standard error.
    pub fn fails(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(1), "{args:?}: {ran:?}");
        assert!(ran.err.lines().all(|line| line.starts_with("ossicle: ")), "{args:?}: {ran:?}");
        ran.err
    }

    /// Puts an object past the tool.
    pub fn plant(&self, objects: &[(&str, &str)], options: impl Fn() -> ossicle::PutOptions) {
        let store = ossicle::Store::open(self.store()).unwrap();
        let bucket = store.bucket("cats").or_else(|_| store.create_bucket("cats")).unwrap();
        for (key, body) in objects {
            bucket.put_with(key, *body, options()).unwrap();
        }
        store.close().unwrap();
    }
}

/// The tool without a store.
pub fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ossicle"));
    command.env_remove("OSSICLE_STORE").args(args);
    command
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A tree with something of everything that can be kept.
pub fn plant_tree(root: &Path) {
    fs::create_dir_all(root.join("deep/er/still")).unwrap();
    fs::create_dir_all(root.join("empty/within")).unwrap();
    fs::write(root.join("plain.txt"), "a plain file\n").unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    fs::write(root.join("deep/er/still/large"), noise(3_000_000)).unwrap();
    fs::write(root.join("deep/middle"), noise(100_000)).unwrap();
    for odd in
        ["with space", "new\nline", "back\\slash", "-dash", "ünï☃", "~", "a\u{1b}[31mred", "...", ".hidden"]
    {
        fs::write(root.join("deep").join(odd), odd).unwrap();
    }
    for mode in [0o600, 0o755, 0o444, 0o640] {
        let path = root.join(format!("mode-{mode:o}"));
        fs::write(&path, "mode").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("../plain.txt", root.join("deep/link")).unwrap();
    symlink("/nowhere/at/all", root.join("dangling")).unwrap();
    symlink("deep", root.join("link-to-directory")).unwrap();
    let old = fs::File::options().write(true).open(root.join("plain.txt")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789)).unwrap();
}

pub fn noise(len: usize) -> Vec<u8> {
    let mut state = len as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What a tree has, by path: kind and mode, time, content. Times of directories with something in them and
/// of links do not count.
pub fn picture(root: &Path) -> BTreeMap<PathBuf, (String, i64, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    for entry in paths_below(root) {
        let meta = fs::symlink_metadata(&entry).unwrap();
        let name = entry.strip_prefix(root).unwrap().to_path_buf();
        let what = if meta.is_dir() {
            ("directory".to_string(), 0, Vec::new())
        } else if meta.file_type().is_symlink() {
            let target = fs::read_link(&entry).unwrap();
            ("link".to_string(), 0, target.to_string_lossy().as_bytes().to_vec())
        } else {
            let time = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            (format!("file {:o}", meta.mode() & 0o7777), time, fs::read(&entry).unwrap())
        };
        seen.insert(name, what);
    }
    seen
}

/// Every path below a directory.
pub fn paths_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// Fails if two trees differ, and says where.
pub fn assert_same(one: &Path, other: &Path) {
    let (mine, yours) = (picture(one), picture(other));
    let names = |picture: &BTreeMap<PathBuf, _>| picture.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&mine), names(&yours));
    for (name, what) in &mine {
        let (kind, time, content) = &yours[name];
        assert_eq!((&what.0, what.1, what.2.len()), (kind, *time, content.len()), "{}", name.display());
        assert!(what.2 == *content, "{} has other bytes", name.display());
    }
}

/// Whether this process may read files that nobody may read.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
