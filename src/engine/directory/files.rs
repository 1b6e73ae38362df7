//! Names of the files of a store.

/// The file that holds the lock.
pub const LOCK: &str = "LOCK";

/// The superblock.
pub const SUPERBLOCK: &str = "SUPERBLOCK";

/// The index file, and the other one that it is rewritten into when it is vacuumed.
pub const INDEX_FILES: [&str; 2] = ["index.tree", "index.alt.tree"];

/// The directory in which readers register.
pub const READERS: &str = "readers";

/// How many hexadecimal digits a reader's file name has.
pub const NAME_LEN: usize = 32;
