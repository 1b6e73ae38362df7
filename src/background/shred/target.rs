//! What is shredded: a key, a prefix or a bucket.

/// What is to be shredded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// All versions of one key.
    Key(String),
    /// All keys with a prefix.
    Prefix(String),
    /// All of a bucket, and the bucket.
    Bucket,
}
