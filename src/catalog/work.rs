//! Entries of the work queue: keys whose bodies have to move to another tier.

/// Word that the body of the row `key` is to lie in another tier.
pub fn work(millis: u64, key: &[u8]) -> Vec<u8> {
    [&millis.to_be_bytes(), key].concat()
}
