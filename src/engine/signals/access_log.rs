//! What was touched, and when: notes that readers leave in memory, for somebody to write down by and by.
//!
//! A note must cost a reader next to nothing, so it is dropped where another reader is just leaving one, and where there
//! is no room left.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// So many readers leave notes at once without meeting.
const SHARDS: usize = 64;

/// The most notes that a shard holds.
const SHARD_NOTES: usize = 4096;

/// How many of the newest notes are known again without a lock. A power of two.
const RECENT: usize = 1 << 18;

/// With so many notes that are not written down yet, it is time to do so.
const MANY: usize = 16 * 1024;

/// A note: this thing of this group was touched then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The group.
    pub group: u64,
    /// The thing.
    pub key: Box<str>,
    /// When, in whatever unit its writer counts.
    pub when: u64,
}

#[derive(Debug)]
struct Note {
    touch: Touch,
    is_written: bool,
}

/// The keys of the maps are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[derive(Debug, Default)]
struct Shard {
    notes: HashMap<u64, Note, BuildHasherDefault<AsItIs>>,
    /// How many of them are written down.
    written: usize,
}

/// The notes. Each thing has at most one.
#[derive(Debug)]
pub struct Touched {
    shards: [Mutex<Shard>; SHARDS],
    /// What was noted last, as parts of hashes of thing and time: things that are read often need no more than a look here.
    /// One thing in four thousand million is taken for another and not noted, for that time.
    recent: OnceLock<Box<[AtomicU32]>>,
    unwritten: AtomicUsize,
}

impl Default for Touched {
    fn default() -> Touched {
        Touched {
            shards: std::array::from_fn(|_| Mutex::default()),
            recent: OnceLock::new(),
            unwritten: AtomicUsize::new(0),
        }
    }
}

impl Touched {
    /// Leaves a note, unless there is one of the same time or the next one: readers meet as a day begins. One of a later
    /// time comes from a clock that was ahead, and gives way. Waits for nobody. Says whether it has just
    /// become time to write notes down.
    pub fn note(&self, group: u64, key: &str, when: u64) -> bool {
        let mut hasher = std::hash::DefaultHasher::new();
        (group, key).hash(&mut hasher);
        let hash = hasher.finish();
        let recent =
            self.recent.get_or_init(|| std::iter::repeat_with(AtomicU32::default).take(RECENT).collect());
        let recent = &recent[hash as usize % RECENT];
        let noted = (hash >> 32) as u32 ^ (when as u32).wrapping_add(1).wrapping_mul(0x9E37_79B9);
        if recent.load(Ordering::Relaxed) == noted {
            return false;
        }
        let Some(mut shard) = self.shards[(hash >> 58) as usize].try_lock() else {
            return false;
        };
        let Shard { notes, written } = &mut *shard;
        if let Some(note) = notes.get_mut(&hash) {
            let is_same = note.touch.group == group && *note.touch.key == *key;
            if !is_same || note.touch.when == when || note.touch.when == when.saturating_add(1) {
                recent.store(noted, Ordering::Relaxed);
                return false;
            }
            recent.store(noted, Ordering::Relaxed);
            note.touch.when = when;
            if !std::mem::take(&mut note.is_written) {
                return false;
            }
            *written -= 1;
            return self.count_one();
        }
        if notes.len() >= SHARD_NOTES {
            if *written == 0 {
                return false;
            }
            notes.retain(|_, note| !note.is_written);
            *written = 0;
        }
        recent.store(noted, Ordering::Relaxed);
        notes.insert(hash, Note { touch: Touch { group, key: key.into(), when }, is_written: false });
        self.count_one()
    }

    fn count_one(&self) -> bool {
        self.unwritten.fetch_add(1, Ordering::Relaxed) + 1 == MANY
    }

    /// Whether there is anything to write down.
    pub fn is_due(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed) > 0
    }

    /// Takes at most so many notes that are to be written down. They stay in memory, so that nobody leaves them again.
    pub fn take(&self, most: usize) -> Vec<Touch> {
        let mut taken = Vec::new();
        if !self.is_due() {
            return taken;
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            let Shard { notes, written } = &mut *shard;
            for note in notes.values_mut().filter(|note| !note.is_written) {
                if taken.len() == most {
                    break;
                }
                note.is_written = true;
                *written += 1;
                taken.push(note.touch.clone());
            }
        }
        self.unwritten.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// Forgets what was written down, so that it is noted again: to be called when writing failed.
    pub fn forget(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.notes.retain(|_, note| !note.is_written);
            shard.written = 0;
        }
        let recent = self.recent.get().into_iter().flatten();
        recent.for_each(|recent| recent.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_one_note_for_a_time() {
        let touched = Touched::default();
        for _ in 0..10 {
            assert!(!touched.note(1, "a", 5));
        }
        touched.note(1, "a", 4);
        touched.note(2, "a", 5);
        let mut taken = touched.take(10);
        taken.sort_by_key(|touch| touch.group);
        assert_eq!(taken.len(), 2);
        assert_eq!(taken[0], Touch { group: 1, key: "a".into(), when: 5 });
        // Nothing is written down twice, and a later time is.
        touched.note(1, "a", 5);
        assert!(!touched.is_due() && touched.take(10).is_empty());
        touched.note(1, "a", 6);
        assert_eq!(touched.take(10), [Touch { group: 1, key: "a".into(), when: 6 }]);
        touched.forget();
        touched.note(1, "a", 6);
        assert!(touched.is_due());
    }

    #[test]
    fn a_note_of_a_clock_that_was_ahead_gives_way() {
        let touched = Touched::default();
        touched.note(1, "a", 3000);
        assert_eq!(touched.take(10)[0].when, 3000);
        touched.note(1, "a", 5);
        assert_eq!(touched.take(10), [Touch { group: 1, key: "a".into(), when: 5 }]);
        touched.note(1, "a", 4);
        assert!(!touched.is_due());
    }

    #[test]
    fn memory_has_an_end_and_it_is_said_when_there_is_much() {
        let touched = Touched::default();
        let told = (0..1_000_000).filter(|i| touched.note(1, &format!("{i}"), 5)).count();
        assert_eq!(told, 1);
        let held =
            |touched: &Touched| touched.shards.iter().map(|shard| shard.lock().notes.len()).sum::<usize>();
        assert_eq!(held(&touched), SHARDS * SHARD_NOTES);
        assert_eq!(touched.take(100).len(), 100);
        assert_eq!(touched.take(usize::MAX).len(), SHARDS * SHARD_NOTES - 100);
        // What is written down makes room.
        touched.note(1, "another", 5);
        assert!(touched.is_due() && held(&touched) < SHARDS * SHARD_NOTES);
    }

    #[test]
    fn nobody_waits_for_a_note() {
        let touched = Touched::default();
        let held: Vec<_> = touched.shards.iter().map(|shard| shard.lock()).collect();
        assert!(!touched.note(1, "a", 5));
        drop(held);
        assert!(!touched.is_due());
    }
}
