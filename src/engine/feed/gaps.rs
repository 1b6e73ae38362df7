//! What of the log is there to be followed, and errors where it is not.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::format::commit::Position;
use crate::format::segment_header::SegmentKind;
use crate::segment::{Segment, Table};

/// The log segments of a table behind one up to the one in which the log ends, in order.
pub(in crate::engine) fn logs_behind(
    table: &Table,
    id: u64,
    end: Position,
) -> impl Iterator<Item = &Arc<Segment>> {
    let log = |segment: &&Arc<Segment>| segment.header.kind == SegmentKind::Log;
    table.behind(id).filter(log).take_while(move |segment| segment.id() <= end.segment)
}

/// The log segments of a table up to the one in which the log ends, in order.
pub(in crate::engine) fn log_segments(table: &Table, end: Position) -> Vec<Arc<Segment>> {
    logs_behind(table, 0, end).cloned().collect()
}

/// The commits behind `after` are not all there; they are from `start` on.
pub(in crate::engine) fn truncated(after: u64, start: u64) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "FeedTruncated",
        format!(
            "the changes behind commit {after} are no longer all in the log, which begins behind commit {start}; \
             take a snapshot, copy what it shows, and go on with the changes behind the snapshot's lsn"
        ),
    )
}

/// There is no such commit yet.
pub(in crate::engine) fn ahead(lsn: u64, newest: u64) -> Error {
    Error::invalid(
        "InvalidArgument",
        format!(
            "there is no commit {lsn} yet, the newest one is {newest}; ask for the changes behind one that is"
        ),
    )
}
