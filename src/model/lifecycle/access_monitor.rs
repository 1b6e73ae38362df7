//! Whether a bucket notes when its objects are read.

/// Whether a bucket notes on which day an object was read last (OSS: `?accessmonitor`), for lifecycle rules that count
/// from that.
///
/// What was noted since maintenance last came by is lost if the process ends without closing the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessMonitor {
    /// It does.
    Enabled,
    /// It does not, which is how a bucket starts.
    Disabled,
}
