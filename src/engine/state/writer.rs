//! What the one who appends to the log holds.

use std::sync::Arc;

use crate::engine::proposal::ledger::Ledger;
use crate::engine::view::view::View;
use crate::segment::Log;

/// What only the writer whose turn it is may touch.
#[derive(Debug)]
pub struct Writer {
    /// The newest view, the same that readers see.
    pub view: Arc<View>,
    /// The tail of the log.
    pub log: Log,
    /// Live bytes by segment.
    pub ledger: Ledger,
    /// Bytes appended to the log since the last checkpoint was begun.
    pub since_checkpoint: u64,
    /// Bytes of the index file.
    pub tree_bytes: u64,
    /// Whether readers in other processes may be told how far the log is durable: not before recovery is done.
    pub telling: bool,
    pub(in crate::engine) buffer: Vec<u8>,
}

impl Writer {
    /// The writer of a store that stands at `view`.
    pub fn new(view: Arc<View>, log: Log, ledger: Ledger, since_checkpoint: u64) -> Writer {
        Writer { view, log, ledger, since_checkpoint, tree_bytes: 0, telling: false, buffer: Vec::new() }
    }
}
