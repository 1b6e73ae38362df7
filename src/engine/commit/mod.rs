//! Group commit: one append, and one sync, for everybody who waits.

pub mod commit;
