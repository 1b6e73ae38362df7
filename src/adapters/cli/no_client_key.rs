//! What stands in for `--client-key` in a build that cannot encrypt bodies.

use clap::Args;

use super::failure::Failure;
use crate::{Body, Bucket, GetOptions, Object, PutOptions};

#[derive(Debug, Args)]
pub struct ClientKey {}

impl ClientKey {
    /// Puts an object.
    pub fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Body<'_>,
        options: PutOptions,
    ) -> Result<(), Failure> {
        bucket.put_with(key, body, options)?;
        Ok(())
    }

    /// Gets an object.
    pub fn get(&self, bucket: &Bucket, key: &str, options: GetOptions) -> Result<Object, Failure> {
        Ok(bucket.get_with(key, options)?)
    }
}
