//! The one door to files, time and chance.
//!
//! *Owns*: every system call; the mapping of files; the lock of a directory; the clock; randomness.
//! *Promises*:
//! 1. Nothing outside this room touches a file, reads a clock or draws a random number.
//! 2. The twins behave alike: what passes on the memory disk passes on the real one.
//! 3. `unsafe` lives in `mmap.rs` and nowhere else.
//!
//! *Stands on*: `error` only.
//! *Never*: knows what a segment, a page or an object is; retries a failed sync.
//! *Read first*: [`Vfs`], [`File`], then `real/real.rs`.

mod blocks;
mod clock;
mod entropy;
mod env;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod ground;
mod held_dir;
mod locks;
mod memory;
mod mmap;
mod permissions;
mod planted;
mod process;
mod real;
mod site;
#[cfg(test)]
mod tests;
mod vfs;

pub use clock::Clock;
pub use clock::{SystemClock, VirtualClock};
pub use entropy::Entropy;
pub use entropy::{OsEntropy, SeededEntropy};
pub use env::Env;
#[cfg(any(test, feature = "testing"))]
pub use faulty::disk::FaultyDisk;
#[cfg(any(test, feature = "testing"))]
pub use faulty::{CutPolicy, Fault, Hit};
pub use memory::memory::MemoryVfs;
pub use mmap::RealMap;
pub use permissions::Permissions;
pub use planted::{Mistake, Planted};
pub use process::Process;
#[cfg(any(test, feature = "testing"))]
pub use process::{Elsewhere, as_if_forked};
pub use real::real::{RealVfs, few_files, most_files};
pub use site::Site;
pub use vfs::{File, FileId, Lent, Listed, Lock, LockMode, Map, MemoryMap, OpenMode, Vfs, Volume};
