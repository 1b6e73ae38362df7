//! The ordered map of the engine: changes in memory over a copy-on-write tree in a file.
//!
//! *Owns*: the delta; the tree and its file of pages; the merge of one into the other; subtree totals.
//! *Promises*:
//! 1. A reader takes no lock and waits for nobody: a clone of an [`Index`] stays as it is for as long as it lives.
//! 2. Totals of a key range are exact over all layers, at a cost of O(log n).
//! 3. A merge writes only pages that nothing durable and no reader can reach, and names no version itself (I6, I7).
//! 4. A merge costs as much as the pages it touches; its memory does not grow with the tree.
//! 5. Any bytes in the file end in a value or in `Corrupt`: no panic, no endless walk (I10).
//!
//! *Stands on*: `format` and `env`.
//! *Never*: knows what a row means; drops a tombstone without asking; syncs unasked.
//! *Read first*: [`Index`], then `delta/delta.rs`, `tree/tree.rs`, `merge.rs`.

mod cursor;
mod delta;
mod density;
mod index;
mod item;
mod merge;
mod salvage;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use crate::format::weight::{TOMBSTONE_SLOT, Totals, Weight};
pub use cursor::Cursor;
pub use delta::delta::Delta;
pub use density::Density;
pub use index::Index;
pub use item::{Item, NewItem};
pub use merge::{Dropped, Merged, copy_into, merge, pages_needed};
pub use salvage::Salvager;
pub use tree::pages::{PageFile, ReadMode, RootPtr};
pub use tree::space::Withheld;
pub use tree::tree::{Tree, TreeWatch};
