//! The superblock: four slots, written in turn, of which the newest sound one says where the store stands.
//!
//! ```text
//! 0     8 B  "OSSICSUP"
//! 8     u32  format version
//! 12    u32  0
//! 16    u64  generation: grows by one with each write; the slot is generation modulo 4
//! 24    u64  feature bits that a reader must know
//! 32    u64  feature bits that a reader may ignore
//! 40    16 B store id
//! 56    u64  created, milliseconds since 1970
//! 64    u8   log2 of the chunk size
//! 65    u8   which index file: 0 index.tree, 1 index.alt.tree
//! 66    u8   1 if there is a checkpoint
//! 67    u8   height of the tree (0: a leaf is the root; 255: the tree is empty)
//! 68    u32  checksum of the root page
//! 72    u64  root page
//! 80    u64  lsn of the checkpoint
//! 88    u64  replay segment: the log from here on is not in the checkpoint ...
//! 96    u64  ... replay offset (0, 0: from the first log segment on)
//! 104   u64  next segment id: no segment with this id or a higher one was ever made before this write ...
//! 112   u64  log known: the log segment with this id was made, with a durable header, before this write
//! 120   u64  run: how often the store had been opened for writing
//! 128   u32  salt of the page checksums
//! 132   u64  milliseconds since 1970 of this write
//! 140   u8   1 if the store was closed in peace: the log ends exactly at the replay position
//! 141   u8   1 if this is a backup that nothing was written to since: the log ends at the replay position, whatever
//!            stands behind it; without a checkpoint, the backup was never finished
//! 142   ..   0, up to 4092; the wrapped keys of encryption will stand from 512 on
//! 4092  u32  CRC-32 of bytes 0..4092
//! ```

use super::checksum::crc;
use super::commit::Position;
use super::{FORMAT_VERSION, MAX_NUMBER};

/// Bytes of a slot.
pub const SLOT_LEN: usize = 4096;
/// How many slots there are.
pub const SLOTS: u64 = 4;
/// The feature bit of a store that may have coded segments, entries that point into a shared body, or work left by
/// changes of class.
pub const FEATURE_TIERS: u64 = 1;
/// The feature bits that this code knows.
pub const KNOWN_FEATURES: u64 = FEATURE_TIERS;
const MAGIC: &[u8; 8] = b"OSSICSUP";
const EMPTY_TREE: u8 = 255;

/// The checkpoint that a superblock names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Root page, its checksum and the tree's height; `None` for an empty tree.
    pub root: Option<(u64, u32, u8)>,
    /// The last commit in it.
    pub lsn: u64,
    /// Where the log goes on behind it.
    pub replay: Position,
}

/// A decoded slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Grows with each write.
    pub generation: u64,
    /// Feature bits that a reader must know.
    pub required_features: u64,
    /// Feature bits that a reader may ignore.
    pub optional_features: u64,
    /// The store's identity.
    pub store_id: [u8; 16],
    /// When the store was made.
    pub created: u64,
    /// log2 of the chunk size.
    pub chunk_log2: u8,
    /// Which index file holds the tree.
    pub index_file: u8,
    /// The newest checkpoint, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// The next segment id that is free for certain.
    pub next_segment: u64,
    /// The newest log segment known to exist.
    pub log_known: u64,
    /// How often the store had been opened for writing.
    pub run: u64,
    /// Salt of the page checksums.
    pub page_salt: u32,
    /// When this was written.
    pub written: u64,
    /// Whether the store was closed in peace: the log ends exactly at the replay position.
    pub clean: bool,
    /// Whether this is a backup that nothing was written to since. Its log ends at the replay position: what stands
    /// behind it was left by a later backup that was cut short. Without a checkpoint it was never finished.
    pub backup: bool,
}

/// Why a slot is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Never written, torn or damaged.
    Unsound(&'static str),
    /// Sound, but of a newer format.
    Version(u32),
    /// Sound, but with features that this code does not know.
    Features(u64),
}

impl Superblock {
    /// Whether nothing was ever written since the store was made.
    pub fn is_young(&self) -> bool {
        self.checkpoint.is_none() && self.log_known == 0
    }

    /// Encodes the slot.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0u8; SLOT_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(16, &self.generation.to_le_bytes());
        put(24, &self.required_features.to_le_bytes());
        put(32, &self.optional_features.to_le_bytes());
        put(40, &self.store_id);
        put(56, &self.created.to_le_bytes());
        put(64, &[self.chunk_log2, self.index_file]);
        if let Some(checkpoint) = &self.checkpoint {
            let (page, checksum, height) = checkpoint.root.unwrap_or((0, 0, EMPTY_TREE));
            put(66, &[1, height]);
            put(68, &checksum.to_le_bytes());
            put(72, &page.to_le_bytes());
            put(80, &checkpoint.lsn.to_le_bytes());
            put(88, &checkpoint.replay.segment.to_le_bytes());
            put(96, &checkpoint.replay.offset.to_le_bytes());
        }
        put(104, &self.next_segment.to_le_bytes());
        put(112, &self.log_known.to_le_bytes());
        put(120, &self.run.to_le_bytes());
        put(128, &self.page_salt.to_le_bytes());
        put(132, &self.written.to_le_bytes());
        put(140, &[u8::from(self.clean), u8::from(self.backup)]);
        let sum = crc(&out[..SLOT_LEN - 4]);
        out[SLOT_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Decodes a slot, or says why it is not used.
    pub fn decode(bytes: &[u8]) -> Result<Superblock, Refused> {
        let bytes: &[u8; SLOT_LEN] = bytes.try_into().map_err(|_| Refused::Unsound("it is cut off"))?;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        if &bytes[..8] != MAGIC {
            return Err(Refused::Unsound("it does not start as a superblock does"));
        }
        if half(SLOT_LEN - 4) != crc(&bytes[..SLOT_LEN - 4]) {
            return Err(Refused::Unsound("its checksum does not match"));
        }
        if half(8) != FORMAT_VERSION {
            return Err(Refused::Version(half(8)));
        }
        let unknown = word(24) & !KNOWN_FEATURES;
        if unknown != 0 {
            return Err(Refused::Features(unknown));
        }
        let sound = (12..=24).contains(&bytes[64]) && bytes[65] <= 1 && bytes[66] <= 1 && bytes[140] <= 1;
        let height = bytes[67];
        let numbers = [16, 80, 88, 96, 104, 112, 120].map(word);
        let countable = numbers.iter().all(|number| *number <= MAX_NUMBER) && word(104) > 0;
        if !sound || !countable || (height > 16 && height != EMPTY_TREE) {
            return Err(Refused::Unsound("it says impossible things"));
        }
        let checkpoint = (bytes[66] == 1).then(|| Checkpoint {
            root: (height != EMPTY_TREE).then(|| (word(72), half(68), height)),
            lsn: word(80),
            replay: Position { segment: word(88), offset: word(96) },
        });
        Ok(Superblock {
            generation: word(16),
            required_features: word(24),
            optional_features: word(32),
            store_id: bytes[40..56].try_into().expect("sixteen bytes"),
            created: word(56),
            chunk_log2: bytes[64],
            index_file: bytes[65],
            checkpoint,
            next_segment: word(104),
            log_known: word(112),
            run: word(120),
            page_salt: half(128),
            written: word(132),
            clean: bytes[140] == 1,
            backup: bytes[141] == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Superblock {
        Superblock {
            generation: 9,
            required_features: FEATURE_TIERS,
            optional_features: 0,
            store_id: [8; 16],
            created: 1,
            chunk_log2: 16,
            index_file: 0,
            checkpoint: Some(Checkpoint {
                root: Some((77, 0xAA, 2)),
                lsn: 5,
                replay: Position { segment: 3, offset: 128 },
            }),
            next_segment: 12,
            log_known: 11,
            run: 4,
            page_salt: 6,
            written: 2,
            clean: true,
            backup: true,
        }
    }

    #[test]
    fn slots_come_back_and_flips_are_seen() {
        for checkpoint in
            [None, sample().checkpoint, Some(Checkpoint { root: None, lsn: 0, replay: Position::default() })]
        {
            let block = Superblock { checkpoint, ..sample() };
            assert_eq!(Superblock::decode(&block.encode()), Ok(block));
        }
        let bytes = sample().encode();
        for at in 0..SLOT_LEN {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(matches!(Superblock::decode(&bad), Err(Refused::Unsound(_))), "byte {at}");
        }
    }

    #[test]
    fn numbers_that_leave_no_room_to_count_on_are_refused() {
        for at in [16, 80, 88, 96, 104, 112, 120] {
            let mut bytes = sample().encode();
            bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            let sum = crc(&bytes[..SLOT_LEN - 4]);
            bytes[SLOT_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
            assert!(matches!(Superblock::decode(&bytes), Err(Refused::Unsound(_))), "the number at {at}");
        }
    }

    #[test]
    fn newer_formats_and_unknown_features_are_named() {
        let resum = |mut bytes: Vec<u8>| {
            let sum = crc(&bytes[..SLOT_LEN - 4]);
            bytes[SLOT_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
            bytes
        };
        let mut newer = sample().encode();
        newer[8] = 2;
        assert_eq!(Superblock::decode(&resum(newer)), Err(Refused::Version(2)));
        let mut featured = sample().encode();
        featured[24] = 1 << 3;
        assert_eq!(Superblock::decode(&resum(featured)), Err(Refused::Features(8)));
    }
}
