//! Keys of stores and of customers: read from a file; the key of a store is changed for another.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::Store;
use crate::crypto::{CustomerKey, KeyProvider, SecretKey, StaticKey};
use crate::env::{Env, OpenMode, Site};
use crate::error::{Error, Result};

/// Where a key file is read; no file of a store, so no fault of its disk is tried here.
const KEY_FILE: Site = Site("key.file");
/// The longest key file that is read: 64 hexadecimal digits and the end of the line.
const LONGEST: usize = 66;

/// A key that lies in a file: 32 bytes, or 64 hexadecimal digits. See to it that nobody else can read the file, and that it
/// lies elsewhere than the store and its backups.
#[derive(Debug)]
pub struct KeyFile(StaticKey);

impl KeyFile {
    /// Reads the key file at `path`.
    ///
    /// # Errors
    /// `Io` if it cannot be read; `Invalid` if it holds anything but a key.
    pub fn open(path: impl AsRef<Path>) -> Result<KeyFile> {
        Ok(KeyFile(StaticKey::new(*read(path.as_ref())?)))
    }

    /// The same key under a name of your choice, as [`StoreBuilder::kms`](super::StoreBuilder::kms) wants it.
    pub fn named(self, id: impl Into<String>) -> KeyFile {
        KeyFile(self.0.named(id))
    }
}

impl CustomerKey {
    /// Reads a key from the file at `path`, which is written as a [`KeyFile`] is.
    ///
    /// # Errors
    /// `Io` if it cannot be read; `Invalid` if it holds anything but a key.
    pub fn open(path: impl AsRef<Path>) -> Result<CustomerKey> {
        Ok(CustomerKey::new(*read(path.as_ref())?))
    }
}

/// The key in a file.
fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let failed = |error| Error::io(format!("reading the key file {}", path.display()), error);
    let file = Env::real().vfs.open(path, OpenMode::Read, KEY_FILE).map_err(failed)?;
    let mut bytes = Zeroizing::new([0; LONGEST + 1]);
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64, KEY_FILE).map_err(failed)? {
            0 => break,
            read => len += read,
        }
    }
    let key = parse(&bytes[..len]).ok_or_else(|| {
        let why = "a key file holds 32 bytes, or 64 hexadecimal digits";
        Error::invalid("InvalidArgument", format!("{} holds no key: {why}", path.display()))
    })?;
    Ok(Zeroizing::new(key))
}

fn parse(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let digits: &[u8; 64] = line.strip_suffix(b"\r").unwrap_or(line).try_into().ok()?;
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(key)
}

impl KeyProvider for KeyFile {
    fn key_id(&self) -> String {
        self.0.key_id()
    }

    fn wrap(&self, key: &SecretKey, context: &[u8], fresh: &[u8; 64]) -> io::Result<Vec<u8>> {
        self.0.wrap(key, context, fresh)
    }

    fn unwrap(&self, key_id: &str, wrapped: &[u8], context: &[u8]) -> io::Result<SecretKey> {
        self.0.unwrap(key_id, wrapped, context)
    }
}

impl Store {
    /// The name of the key that the store is encrypted with; `None` if it is not encrypted.
    pub fn key_id(&self) -> Option<String> {
        self.engine().key_id()
    }

    /// Changes the key that opens the store for another provider's, in the time of a few writes however large the store is:
    /// the root key stays and is wrapped anew, and the old wrap is written over. Once this has come back, the old key opens
    /// the store no more; its backups and copies made before are still opened by the old one, and a
    /// directory that is backed up into again and again has the old wrap in older slots of its superblock until four more backups
    /// have been made. After an error, or a crash, one
    /// of the two opens the store, and the error of the other says which key it wants.
    ///
    /// Whoever has had the root key itself (by reading the memory of a process that had the store open) is not shut out by
    /// this: for that, copy the objects into a new store.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, StaticKey, Store};
    /// let disk = std::sync::Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk.clone()).key_provider(StaticKey::new([1; 32])).open()?;
    /// store.rotate_key(StaticKey::new([2; 32]))?;
    /// store.close()?;
    /// assert!(Store::builder("/store").vfs(disk.clone()).key_provider(StaticKey::new([1; 32])).open().is_err());
    /// Store::builder("/store").vfs(disk).key_provider(StaticKey::new([2; 32])).open()?.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Invalid` if the store is not encrypted; `Denied` if it is open for reading only, or if the provider cannot unwrap
    /// what it has wrapped; what the provider says.
    pub fn rotate_key(&self, provider: impl KeyProvider) -> Result<()> {
        self.engine().rotate_key(&provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_holds_bytes_or_digits_and_nothing_else() {
        assert_eq!(parse(&[0xA5; 32]), Some([0xA5; 32]));
        for end in ["", "\n", "\r\n"] {
            assert_eq!(parse(format!("{}{end}", "a5A5".repeat(16)).as_bytes()), Some([0xA5; 32]));
        }
        for bad in [&b""[..], &[1; 31], &[1; 33], &[b'g'; 64], &[b'1'; 63], &[b'1'; 67]] {
            assert_eq!(parse(bad), None);
        }
    }
}
