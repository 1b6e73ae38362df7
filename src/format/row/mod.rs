//! Rows: the catalog's values, as `kind, schema, length` and a body in bincode 2 wire (standard configuration).
//!
//! A field is never added in place: a new schema number and an upgrade. This is the one module that names the codec.

pub mod bucket;
pub mod budget;
pub mod codec;
pub mod envelope;
pub mod lifecycle;
pub mod object;

pub use bucket::{BucketRow, PendingWork, SpanRow};
pub use budget::BudgetRow;
pub use envelope::{BucketKeyRow, EncryptionRow, EnvelopeRow, PartRun, SealRow};
pub use lifecycle::{
    AccessMonitorRow, LifecycleRow, PlaceRow, ReportRow, RuleRow, RunRow, RunningRow, TransitionRow, WhenRow,
};
pub use object::{Keep, MARKER, ObjectGlance, ObjectRow, PieceRow, Restoring, UploadGlance, UploadRow};

pub use codec::{Row, decode, encode};

#[cfg(test)]
mod tests;
