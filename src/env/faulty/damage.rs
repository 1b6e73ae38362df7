//! What a test may do to the files behind the store's back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{FaultyDisk, State};
use super::node::Node;
use crate::env::blocks::Blocks;
use crate::env::memory::tree::{Entry, plain};

impl FaultyDisk {
    /// The paths of all files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        let state = self.state.lock();
        let mut paths: Vec<PathBuf> = state.live.files().into_iter().map(|(path, _)| path).collect();
        paths.sort();
        paths
    }

    /// The bytes of a file as programs see them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let node = self.state.lock().live.file(&plain(path)).ok()?;
        let content = node.live.read();
        let mut bytes = vec![0; content.len() as usize];
        content.read(&mut bytes, 0);
        Some(bytes)
    }

    /// Puts a file there, or other bytes into one that is there; they, the name and the directories above it
    /// are durable at once.
    ///
    /// # Panics
    /// If a directory lies at the path, or a file above it.
    pub fn put_contents(&self, path: &Path, bytes: Vec<u8>) {
        let path = plain(path);
        let mut state = self.state.lock();
        let mut content = Blocks::default();
        content.write(&bytes, 0);
        if let Ok(node) = state.live.file(&path) {
            state.replace(&node, content);
            state.settle_name(&path, Some(Entry::File(node)));
            return;
        }
        let dir = path.parent().expect("a file has a directory");
        state.live.missing_dirs(dir).expect("a file lies above the path");
        assert!(!matches!(state.live.entry(&path), Ok(Some(_))), "a directory is there");
        let mut above: Vec<&Path> = dir.ancestors().filter(|dir| dir.file_name().is_some()).collect();
        above.reverse();
        for dir in above {
            state.settle_name(dir, Some(Entry::Dir));
        }
        let node = Arc::new(Node::new(content));
        state.used += node.live.read().allocated();
        state.settle_name(&path, Some(Entry::File(node)));
    }

    /// Flips the bits of `mask` in one byte, in what is seen and in what is durable. Says whether there is
    /// such a byte.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> bool {
        let state = self.state.lock();
        let Ok(node) = state.live.file(&plain(path)) else {
            return false;
        };
        let seen = flip(&mut node.live.write(), offset, mask);
        let durable = flip(&mut node.below.lock().durable, offset, mask);
        seen || durable
    }

    /// Sets the length of a file, which becomes durable as it is then. Says whether there is such a file.
    pub fn truncate(&self, path: &Path, len: u64) -> bool {
        let mut state = self.state.lock();
        let Ok(node) = state.live.file(&plain(path)) else {
            return false;
        };
        let mut content = node.live.read().clone();
        content.set_len(len);
        state.replace(&node, content);
        true
    }

    /// Takes a file away, durably. Says whether there was one.
    pub fn erase(&self, path: &Path) -> bool {
        let path = plain(path);
        let mut state = self.state.lock();
        let Ok(node) = state.live.file(&path) else {
            return false;
        };
        node.below.lock().named = false;
        state.used -= node.live.read().allocated();
        state.settle_name(&path, None);
        true
    }

    /// Exchanges the contents of two files, which become durable as they are. Says whether both are there.
    pub fn swap(&self, one: &Path, other: &Path) -> bool {
        let mut state = self.state.lock();
        let (Ok(one), Ok(other)) = (state.live.file(&plain(one)), state.live.file(&plain(other))) else {
            return false;
        };
        let (first, second) = (one.live.read().clone(), other.live.read().clone());
        state.replace(&one, second);
        state.replace(&other, first);
        true
    }
}

impl State {
    /// Gives a named file another content, durable at once.
    fn replace(&mut self, node: &Node, content: Blocks) {
        self.used += content.allocated();
        self.used -= node.live.read().allocated();
        *node.live.write() = content;
        node.settle();
    }

    /// Gives a path a meaning, durable at once.
    fn settle_name(&mut self, path: &Path, entry: Option<Entry<Arc<Node>>>) {
        if let Some(changes) = path.parent().and_then(|dir| self.renames.get_mut(dir)) {
            changes.retain(|change| change.path != path);
        }
        self.live.put(path, entry.clone());
        self.durable.put(path, entry);
    }
}

fn flip(content: &mut Blocks, offset: u64, mask: u8) -> bool {
    let mut byte = [0];
    if content.read(&mut byte, offset) == 0 {
        return false;
    }
    content.write(&[byte[0] ^ mask], offset);
    true
}
