//! Names for the places that call the outside, so that a ledger can say which faults were never tried where.

/// The place in the code that makes a call: `room.step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(pub &'static str);

macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Site {
            $($(#[$doc])* pub const $name: Site = Site($text);)*
            /// Every site there is.
            pub const ALL: &'static [Site] = &[$(Site::$name),*];
        }
    };
}

sites! {
    /// Making the store's directories.
    STORE_DIR = "store.dir";
    /// Taking the lock.
    STORE_LOCK = "store.lock";
    /// Listing a directory of the store.
    STORE_LIST = "store.list";
    /// Reading the superblock.
    SUPERBLOCK_READ = "superblock.read";
    /// Writing a superblock slot.
    SUPERBLOCK_WRITE = "superblock.write";
    /// Making a superblock slot durable.
    SUPERBLOCK_SYNC = "superblock.sync";
    /// Creating a log segment.
    LOG_CREATE = "log.create";
    /// Appending to the log.
    LOG_APPEND = "log.append";
    /// Making the log durable.
    LOG_SYNC = "log.sync";
    /// Taking back a failed append.
    LOG_UNDO = "log.undo";
    /// Writing again, in recovery, what may never have reached the disk, and cutting the tail off.
    RECOVERY_WRITE = "recovery.write";
    /// Making durable what recovery has written again.
    RECOVERY_SYNC = "recovery.sync";
    /// Creating a bulk segment.
    BULK_CREATE = "bulk.create";
    /// Writing a body into a bulk segment.
    BULK_WRITE = "bulk.write";
    /// Making a bulk segment durable.
    BULK_SYNC = "bulk.sync";
    /// Opening and mapping a segment.
    SEGMENT_OPEN = "segment.open";
    /// Reading from a segment.
    SEGMENT_READ = "segment.read";
    /// Removing a retired segment.
    SEGMENT_REMOVE = "segment.remove";
    /// Opening, creating or growing the index file.
    INDEX_OPEN = "index.open";
    /// Reading, writing and removing the file of kept secrets.
    KEYS = "store.keys";
    /// Reading a page.
    INDEX_READ = "index.read";
    /// Writing pages.
    INDEX_WRITE = "index.write";
    /// Making pages durable.
    INDEX_SYNC = "index.sync";
    /// Leaving a note in a locked file.
    NOTE = "store.note";
    /// Looking for readers in other processes, and registering as one.
    READERS = "store.readers";
    /// Keeping or spending the reserve.
    RESERVE = "store.reserve";
    /// Writing a segment of a backup, or of what one is restored to.
    BACKUP_WRITE = "backup.write";
    /// Making a segment of a backup, and its name, durable.
    BACKUP_SYNC = "backup.sync";
    /// Removing what a backup no longer names.
    BACKUP_REMOVE = "backup.remove";
}
