//! Quotas: how much a bucket may hold.

/// How much a bucket may hold; a write that would go beyond is refused, and deleting makes room. Without a number there is
/// no limit, which is how a bucket starts (OSS: "Unlimited capacity"; the setting is Ossicle's own).
///
/// ```
/// let quota = ossicle::Quota { bytes: Some(10 << 30), ..Default::default() };
/// assert_eq!(quota.objects, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quota {
    /// The most bytes of bodies.
    pub bytes: Option<u64>,
    /// The most objects.
    pub objects: Option<u64>,
}
