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
//! 142   ..   0, up to 4092 but for the following, in a sealed store (feature bit 1)
//! 512   u8   1: the form of what follows
//! 513   u8   bytes of the name of the key that the store root is wrapped with
//! 514   u16  bytes of the wrapped store root
//! 516   32 B commitment to the store root
//! 548   72 B the shred root, sealed with a key of the store root
//! 640   255B the name of the key
//! 896   1 KB the wrapped store root
//! 4060  32 B keyed sum: made with a key of the store root from the BLAKE3 hash of bytes 0..4060
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
/// The feature bit of a store in which everything is sealed.
pub const FEATURE_SEALED: u64 = 2;
/// The feature bit of a store that may have objects with an encryption of their own, and keys of buckets.
pub const FEATURE_ENVELOPES: u64 = 4;
/// The bit of stores in which there may be packed commits.
pub const FEATURE_PACKED: u64 = 8;
/// The feature bits that this code knows.
pub const KNOWN_FEATURES: u64 = FEATURE_TIERS | FEATURE_SEALED | FEATURE_ENVELOPES | FEATURE_PACKED;
/// Bytes of the sealed shred root.
pub const SHRED_LEN: usize = 72;
/// Where the keyed sum stands.
const SUM_AT: usize = SLOT_LEN - 36;
const MAX_KEY_ID: usize = 255;
const MAX_ROOT: usize = 1024;
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

/// What a sealed store keeps of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The name of the key that the store root is wrapped with.
    pub key_id: String,
    /// The wrapped store root.
    pub root: Vec<u8>,
    /// A commitment to the store root.
    pub commitment: [u8; 32],
    /// The sealed shred root.
    pub shred: [u8; SHRED_LEN],
}

/// The keyed sum of a slot, and what it is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The hash of what is signed.
    pub digest: [u8; 32],
    /// The sum as it stands in the slot.
    pub sum: [u8; 32],
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
    /// What it keeps of its keys, if it is sealed.
    pub keys: Option<Box<Keys>>,
}

/// The keyed sum of an encoded slot.
pub fn signature(slot: &[u8]) -> Signature {
    let sum = slot[SUM_AT..SUM_AT + 32].try_into().expect("thirty-two bytes");
    Signature { digest: *blake3::hash(&slot[..SUM_AT]).as_bytes(), sum }
}

/// Puts the keyed sum into an encoded slot.
pub fn sign(slot: &mut [u8], sum: &[u8; 32]) {
    slot[SUM_AT..SUM_AT + 32].copy_from_slice(sum);
    let sum = crc(&slot[..SLOT_LEN - 4]);
    slot[SLOT_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
}

impl Keys {
    /// Whether they fit into a slot.
    pub fn fit(&self) -> bool {
        self.key_id.len() <= MAX_KEY_ID && (1..=MAX_ROOT).contains(&self.root.len())
    }

    fn decode(bytes: &[u8; SLOT_LEN]) -> Option<Keys> {
        let (name, root) =
            (usize::from(bytes[513]), usize::from(u16::from_le_bytes([bytes[514], bytes[515]])));
        if bytes[512] != 1 || !(1..=MAX_ROOT).contains(&root) {
            return None;
        }
        Some(Keys {
            key_id: std::str::from_utf8(&bytes[640..640 + name]).ok()?.to_owned(),
            root: bytes[896..896 + root].to_vec(),
            commitment: bytes[516..548].try_into().ok()?,
            shred: bytes[548..548 + SHRED_LEN].try_into().ok()?,
        })
    }
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
        if let Some(keys) = &self.keys {
            assert!(keys.fit(), "keys that could not be read back: {keys:?}");
            put(24, &(self.required_features | FEATURE_SEALED).to_le_bytes());
            put(512, &[1, keys.key_id.len() as u8]);
            put(514, &(keys.root.len() as u16).to_le_bytes());
            put(516, &keys.commitment);
            put(548, &keys.shred);
            put(640, keys.key_id.as_bytes());
            put(896, &keys.root);
        }
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
        let keys = match word(24) & FEATURE_SEALED {
            0 => None,
            _ => Some(Box::new(Keys::decode(bytes).ok_or(Refused::Unsound("its keys cannot be read"))?)),
        };
        Ok(Superblock {
            generation: word(16),
            required_features: word(24) & !FEATURE_SEALED,
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
            keys,
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
            keys: None,
        }
    }

    #[test]
    fn keys_come_back_and_no_flip_passes() {
        let keys = Keys {
            key_id: "static-1".to_owned(),
            root: vec![7; MAX_ROOT],
            commitment: [1; 32],
            shred: [2; SHRED_LEN],
        };
        let block = Superblock { keys: Some(Box::new(keys)), ..sample() };
        let mut bytes = block.encode();
        sign(&mut bytes, &[5; 32]);
        assert_eq!(Superblock::decode(&bytes), Ok(block));
        let signed = signature(&bytes);
        assert_eq!(signed.sum, [5; 32]);
        for at in 0..SLOT_LEN {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(matches!(Superblock::decode(&bad), Err(Refused::Unsound(_))), "byte {at}");
            // And where the checksum is made to fit, the keyed sum does not.
            sign(&mut bad, &signed.sum);
            assert!(at >= SUM_AT || signature(&bad).digest != signed.digest, "byte {at}");
        }
        for (at, bad) in [(512, 2), (514, 1), (515, 0xFF), (640, 0xFF)] {
            let mut bytes = bytes.clone();
            bytes[at] = bad;
            if at == 514 {
                bytes[515] = 4;
            }
            sign(&mut bytes, &[5; 32]);
            assert!(matches!(Superblock::decode(&bytes), Err(Refused::Unsound(_))), "byte {at}");
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
        featured[24] = 1 << 4;
        assert_eq!(Superblock::decode(&resum(featured)), Err(Refused::Features(16)));
    }
}
