//! Quotas: how much a bucket may hold.

/// How much a bucket may hold. A write that would exceed it fails with `QuotaExceeded`; deleting makes room. `None` means no
/// limit, which is how a bucket starts (OSS: "Unlimited capacity"; the setting is Ossicle's own).
///
/// ```
/// let quota = ossicle::Quota { bytes: Some(10 << 30), ..Default::default() };
/// assert_eq!(quota.objects, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quota {
    /// The limit in bytes of bodies: of current and other versions and of parts of uploads.
    pub bytes: Option<u64>,
    /// The limit of objects, other versions included.
    pub objects: Option<u64>,
}
