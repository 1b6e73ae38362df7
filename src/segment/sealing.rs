//! How the records of a segment are sealed in an encrypted store.

use std::fmt;
use std::sync::Arc;

use crate::crypto::{BODY_NONCE_LEN, Keyring, SEAL_LEN, Sealer, SecretKey, TAG_LEN};
use crate::format::frame;
use crate::format::segment_header::SegmentHeader;

/// What is said of a unit that does not open.
pub const FORGED: &str = "it does not open with the store's key: it was changed, or belongs elsewhere";

/// What is said of a segment that nothing opens any more.
pub const LOST: &str =
    "the key of this segment was destroyed when something was shredded, or is lost with the file KEYS";

/// The keys of one segment.
pub struct Sealing {
    pub(super) ring: Arc<Keyring>,
    /// The secret that everything in the segment hangs on, and what seals its records; none if it was destroyed.
    pub(super) keys: Option<(SecretKey, Sealer)>,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

impl Sealing {
    /// Those of the segment with this header.
    pub fn new(ring: &Arc<Keyring>, header: &SegmentHeader) -> Sealing {
        let secret = ring.secret(header.id, header.nonce, header.shred);
        let keys = secret.map(|secret| {
            let records = ring.segment(&secret, header.id, header.nonce);
            (secret, records)
        });
        Sealing { ring: ring.clone(), keys }
    }

    /// Whether the secret of the segment was destroyed.
    pub fn is_lost(&self) -> bool {
        self.keys.is_none()
    }
}

/// At most how many bytes longer a body's record is because it is sealed.
pub fn most_added(body_len: u64, chunk_log2: u8) -> u64 {
    let chunks = frame::chunk_count(body_len, chunk_log2);
    // A tag, a word of the table and a part of a mark for each chunk; what leads to the key, the sealed owner, padding.
    chunks * (TAG_LEN as u64 + 5) + (BODY_NONCE_LEN + SEAL_LEN) as u64 + frame::ALIGN
}
