//! `--client-key`: bodies that the tool encrypts and decrypts itself, as the SDKs of OSS do.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::format;
use crate::adapters::client_encryption::{EncryptedBucket, EncryptedObject, Envelope, RsaMasterKey};
use crate::{Body, Bucket, GetOptions, Object, ObjectMeta, PutOptions, Result};

#[derive(Debug, Args)]
pub struct ClientKey {
    /// Encrypt or decrypt the body with this RSA key, a PEM file, in the format of the OSS SDKs
    #[arg(long, value_name = "FILE.pem")]
    client_key: Option<PathBuf>,
}

/// An object on its way out.
pub enum Readable {
    /// As it lies in the store.
    Plain(Box<Object>),
    /// To be decrypted.
    Encrypted(Box<EncryptedObject>),
}

impl ClientKey {
    /// The key in the file, if one was named.
    fn read(&self) -> Result<Option<RsaMasterKey>, Failure> {
        let Some(path) = &self.client_key else {
            return Ok(None);
        };
        let shown = format::path(path);
        let pem = fs::read_to_string(path).map_err(|error| Failure::about(&shown, &error))?;
        let key = RsaMasterKey::from_pem(&pem).map_err(|error| Failure::of(format!("{shown}: {error}")))?;
        Ok(Some(key))
    }

    /// Puts an object, encrypted if a key was named.
    pub fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Body<'_>,
        options: PutOptions,
    ) -> Result<(), Failure> {
        match self.read()? {
            None => bucket.put_with(key, body, options)?,
            Some(master) => EncryptedBucket::new(bucket, master).put_with(key, body, options)?,
        };
        Ok(())
    }

    /// Gets an object, to be decrypted if a key was named. That one is taken, whatever the object calls its key.
    pub fn get(&self, bucket: &Bucket, key: &str, options: GetOptions) -> Result<Readable, Failure> {
        let Some(master) = self.read()? else {
            return Ok(Readable::Plain(Box::new(bucket.get_with(key, options)?)));
        };
        let envelope = Envelope::of(&bucket.head(key)?.metadata)?;
        let master = match envelope {
            Some(envelope) => master.described(envelope.description().clone()),
            None => master,
        };
        let bucket = EncryptedBucket::new(bucket, master).encrypted_only(true);
        Ok(Readable::Encrypted(Box::new(bucket.get_with(key, options)?)))
    }
}

impl Readable {
    /// What is known of the object.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Readable::Plain(object) => object.meta(),
            Readable::Encrypted(object) => object.meta(),
        }
    }

    /// Writes the body to `out`.
    pub fn copy_to(&mut self, out: &mut (impl Write + ?Sized)) -> Result<u64> {
        match self {
            Readable::Plain(object) => object.copy_to(out),
            Readable::Encrypted(object) => object.copy_to(out),
        }
    }
}
