//! Keys of stores and of customers: read from a file; the key of a store is changed for another.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::bucket::Bucket;
use super::handle::Store;
use crate::background::shred::shred::{self, Shredded, Shredder};
use crate::background::shred::target::What;
use crate::crypto::{CustomerKey, KeyProvider, SecretKey, StaticKey};
use crate::env::{Env, OpenMode, Site};
use crate::error::{Error, Result};

/// Where a key file is read; no file of a store, so no fault of its disk is tried here.
const KEY_FILE: Site = Site("key.file");

/// The longest key file that is read: 64 hexadecimal digits and the end of the line.
const LONGEST: usize = 66;

/// A key in a file: 32 bytes, or 64 hexadecimal digits. Make sure that nobody else can read the file, and keep it away from the
/// store and its backups.
#[derive(Debug)]
pub struct KeyFile(StaticKey);

impl KeyFile {
    /// Reads the key file at `path`.
    ///
    /// # Errors
    /// `InternalError` if it cannot be read; `InvalidArgument` if it holds anything but a key, or only zeros.
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
    /// `InternalError` if it cannot be read; `InvalidArgument` if it holds anything but a key, or only zeros.
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
    let wrong = |what: &str| {
        let why = "a key file holds 32 random bytes, or 64 hexadecimal digits";
        Error::invalid("InvalidArgument", format!("{} {what}: {why}", path.display()))
    };
    let key = Zeroizing::new(parse(&bytes[..len]).ok_or_else(|| {
        let short = len < 32;
        wrong(if len == 0 {
            "is empty"
        } else if short {
            "is too short for a key"
        } else {
            "holds no key"
        })
    })?);
    // What a disk gives back that has lost the file's bytes, and everybody's first guess.
    if *key == [0; 32] {
        return Err(wrong("holds only zeros"));
    }
    Ok(key)
}

/// The key in the bytes of a file.
pub(crate) fn parse(bytes: &[u8]) -> Option<[u8; 32]> {
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

    /// Changes the key that opens the store to another provider's. Takes a few writes, however large the store is: the root key
    /// stays and is wrapped with the new key, and the old wrapped key is overwritten. Once this has returned, the old key no longer
    /// opens the store. Backups and copies that were made before are still opened by the old key, a backup until the next one into
    /// the same directory. After an error or a crash one of the two keys opens the store, and the error for the other one names it.
    ///
    /// This does not lock out somebody who knows the root key itself, from the memory of a process that had the store open: for
    /// that, copy the objects into a new store.
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
    /// `InvalidArgument` if the store is not encrypted; `AccessDenied` if the provider cannot unwrap what it has
    /// wrapped, or refuses; `KeyUnavailable` if it failed to answer; `OperationConflict` on a thread that is inside a
    /// transaction that has read. Also [those of writing](crate::Store#errors-of-writing).
    pub fn rotate_key(&self, provider: impl KeyProvider) -> Result<()> {
        self.engine().rotate_key(&provider)
    }
}

impl Store {
    /// Deletes a bucket with everything in it, and destroys the key material of what was deleted: see [`Bucket::shred`] for what
    /// that means, and its limits.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, StaticKey, Store};
    /// let disk = std::sync::Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk).key_provider(StaticKey::new([1; 32])).open()?;
    /// store.create_bucket("letters")?.put("to-mary", b"dear mary")?;
    /// let shredded = store.shred_bucket("letters")?;
    /// assert_eq!((shredded.objects, shredded.shared_objects), (1, 0));
    /// assert!(store.bucket("letters").is_err());
    /// store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidBucketName` and `NoSuchBucket` if there is no such bucket. Also those of [`Bucket::shred`].
    pub fn shred_bucket(&self, name: &str) -> Result<Shredded> {
        self.engine().check_shreddable()?;
        shred::shred(self.engine(), self.bucket(name)?.reference(), What::Bucket)
    }

    /// Finishes an earlier shredding or [`reencrypt`](Store::reencrypt) that was interrupted by a crash or by something in its
    /// way. Maintenance does so too.
    ///
    /// # Errors
    /// Those of [`Bucket::shred`], if something still is in the way.
    pub fn finish_shredding(&self) -> Result<Shredded> {
        shred::finish(self.engine())
    }

    /// Whether a shredding or a [`reencrypt`](Store::reencrypt) is not finished.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn is_shredding(&self) -> Result<bool> {
        self.engine().check_open()?;
        Ok(Shredder::begin(self.engine())?.is_some())
    }

    /// Encrypts everything in the store again with fresh keys, by rewriting every segment and the index. Reading and writing go
    /// on meanwhile, and it continues after a crash; it takes as long as copying the store. It is for the whole store, because
    /// copies and forks share bodies.
    ///
    /// Use it if keys of segments may have become known, for example from the memory of a process. The store's root key stays:
    /// somebody who knows it and can read the new superblock can open everything. Deleted data is shredded on the way, as by
    /// [`Bucket::shred`].
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, StaticKey, Store};
    /// let disk = std::sync::Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk).key_provider(StaticKey::new([1; 32])).open()?;
    /// store.create_bucket("letters")?.put("to-mary", b"dear mary")?;
    /// let done = store.reencrypt()?;
    /// assert!(done.segments > 0);
    /// assert_eq!(&store.bucket("letters")?.get("to-mary")?.bytes()?[..], b"dear mary");
    /// store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Bucket::shred`], but for `FileImmutable`: nothing is deleted.
    pub fn reencrypt(&self) -> Result<Shredded> {
        shred::reencrypt(self.engine())
    }
}

impl Bucket {
    /// Deletes an object with all its versions and uploads, and destroys the key material that could decrypt them: afterwards
    /// nothing in the store's directory can be decrypted to the object, even with the store's key. This also shreds what was deleted
    /// earlier.
    ///
    /// How: live data is moved out of every segment that holds deleted data, and the segment is removed; the index is rewritten;
    /// and the key from which all segment keys are derived is replaced. So it does not matter whether the disk has really erased a
    /// file, or whether a copy of one turns up. The time grows with the segments that hold deleted data and with the index, not
    /// with the other objects; reading and writing go on meanwhile. To shred many keys, give them a prefix, or delete them first
    /// and shred one.
    ///
    /// Its limits:
    /// - Backups and copies of the directory have their own copy of the key: shred there too, or remove them. The next
    ///   [`backup`](Store::backup) into a directory brings it up to date.
    /// - Open readers and snapshots show what they show until they are closed.
    /// - Other objects that share the body, because one is a copy of the other, keep it:
    ///   [`shared_objects`](Shredded::shared_objects) counts them.
    /// - A flash drive may keep the 288 overwritten bytes of the superblock, for somebody who can read the bare chips and has the
    ///   store's key.
    ///
    /// Change feeds that have not reached the newest commit answer `FeedTruncated`.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, StaticKey, Store};
    /// let disk = std::sync::Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk).key_provider(StaticKey::new([1; 32])).open()?;
    /// let letters = store.create_bucket("letters")?;
    /// letters.put("to-mary", b"dear mary")?;
    /// letters.put("to-tom", b"dear tom")?;
    /// let shredded = letters.shred("to-mary")?;
    /// assert_eq!(shredded.objects, 1);
    /// assert_eq!(&letters.get("to-tom")?.bytes()?[..], b"dear tom");
    /// store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `InvalidArgument` if the store is not encrypted: nothing was done.
    /// - `FileImmutable` if a version is retained or held, if the store retains its past ([`Store::set_history`]), or
    ///   if the bucket is a fork or has forks: nothing was done.
    /// - `TierOutOfService` if the directory of a tier cannot be used: nothing was done.
    /// - `OperationConflict` if a backup or a body is being written that still has what is to be shredded: it is
    ///   deleted then, and maintenance or [`Store::finish_shredding`] does the rest. The same holds after any error
    ///   of the disk and after a crash. Also inside a transaction that has read.
    ///
    /// Also [those of a key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn shred(&self, key: &str) -> Result<Shredded> {
        shred::shred(self.engine(), self.reference(), What::Key(key.to_string()))
    }

    /// [`shred`](Bucket::shred) for every key with a prefix; `""` empties the bucket.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, StaticKey, Store};
    /// let disk = std::sync::Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk).key_provider(StaticKey::new([1; 32])).open()?;
    /// let letters = store.create_bucket("letters")?;
    /// letters.put("mary/1", b"dear mary")?;
    /// letters.put("mary/2", b"dear mary")?;
    /// assert_eq!(letters.shred_prefix("mary/")?.objects, 2);
    /// store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`shred`](Bucket::shred).
    pub fn shred_prefix(&self, prefix: &str) -> Result<Shredded> {
        shred::shred(self.engine(), self.reference(), What::Prefix(prefix.to_string()))
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
