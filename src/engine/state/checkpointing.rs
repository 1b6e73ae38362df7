//! What checkpoints remember from one to the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::proposal::ledger::LedgerDiff;
use crate::format::commit::Position;
use crate::format::segment_header::SegmentKind;
use crate::index::{PageFile, Tree, Withheld};
use crate::segment::{Segment, Table};

/// What the one thread that makes a checkpoint keeps between checkpoints.
#[derive(Debug)]
pub struct Checkpointing {
    /// The file of the tree.
    pub pages: Arc<PageFile>,
    /// Which of the two index files it is.
    pub index_file: u8,
    /// The delta that was frozen but is not yet in a durable tree.
    pub(in crate::engine) frozen: Option<Frozen>,
    /// Segments out of the table, waiting for their last reader before their files go.
    pub(in crate::engine) retired: Vec<Arc<Segment>>,
    /// Bytes of ledger that dropped tombstones gave back.
    pub(in crate::engine) dropped: LedgerDiff,
    /// What readers in other processes may still need.
    pub held: Vec<Held>,
    /// Whether readers that were there before this writer were looked for.
    pub has_met: bool,
    /// How many pages were written since the index file was last written anew; `None` if that is not known.
    pub written: Option<u64>,
}

impl Checkpointing {
    /// Begins with the tree in `pages`.
    pub fn new(pages: Arc<PageFile>, index_file: u8) -> Checkpointing {
        let (retired, held, dropped) = (Vec::new(), Vec::new(), LedgerDiff::default());
        Checkpointing {
            pages,
            index_file,
            frozen: None,
            retired,
            dropped,
            held,
            has_met: false,
            written: None,
        }
    }

    /// Whether files of the log are still there that are out of the table.
    pub fn keeps_logs(&self) -> bool {
        self.retired.iter().any(|segment| segment.header.kind == SegmentKind::Log)
    }
}

/// What readers may need that use this superblock or an older one.
#[derive(Debug)]
pub struct Held {
    pub(in crate::engine) generation: u64,
    pub(in crate::engine) _kept: Kept,
}

/// It is only there to be dropped.
#[derive(Debug)]
pub(in crate::engine) enum Kept {
    /// A tree that another one has replaced, and the segments of its time.
    Version { _tree: Tree, _segments: Table },
    /// Pages that only readers may reach that came before the store was opened.
    Pages { _pages: Withheld },
}

/// The moment at which a delta was frozen.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Frozen {
    pub(in crate::engine) lsn: u64,
    pub(in crate::engine) replay: Position,
    pub(in crate::engine) since_checkpoint: u64,
    /// Sealed segments in which nothing was live at that moment.
    pub(in crate::engine) dead: BTreeSet<u64>,
}
