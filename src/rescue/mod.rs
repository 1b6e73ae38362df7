//! Rescue: copies of a store, checks of it, and what can be saved of a damaged one.
//!
//! *Owns*: backup and restore, the check of every byte, salvage.
//! *Promises*:
//! 1. A backup is a store that opens, of one moment, whatever is written meanwhile.
//! 2. An interrupted backup goes on where it was; it never passes for a whole one.
//! 3. Salvage never writes to the damaged store, and reports what it could not save.
//!
//! *Stands on*: `engine`, `segment`, `index`, `format`, `crypto`, `env`.
//! *Never*: knows buckets and objects; `catalog/repair` names them.
//! *Read first*: `backup/backup.rs`, `salvage/salvage.rs`, `verify.rs`.

pub mod backup;
pub mod directory;
pub mod salvage;
pub mod verify;

pub use backup::report::{BackupProgress, BackupReport, RestoreReport};
pub use salvage::report::{Mended, Naming, SalvageFrom, SalvageProgress, SalvageReport};
pub use verify::{VerifyProgress, VerifyReport};
