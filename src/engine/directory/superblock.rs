//! The superblock file: four slots written in turn, the newest sound one counts.

use std::io::IoSlice;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::crypto::Keyring;
use crate::env::{Env, File, OpenMode, Planted, Site};
use crate::error::{Error, ErrorKind, Result, is_full};
use crate::format::superblock::{self, Refused, SLOT_LEN, SLOTS, Signature, Superblock};
use crate::segment::{Reserve, Spender};

/// The superblock of an open store.
#[derive(Debug)]
pub struct SuperblockFile {
    file: Arc<dyn File>,
    name: String,
    newest: Mutex<Superblock>,
    /// Signs the slots of a sealed store.
    ring: Option<Arc<Keyring>>,
    /// Whether no slot has other keys than the newest.
    uniform: AtomicBool,
    /// What it may use where a full disk has no room for it.
    reserve: OnceLock<Arc<Reserve>>,
}

/// What the file holds.
#[derive(Debug)]
pub enum Found {
    /// A store, as its newest slot describes it; in a sealed store nothing of that is to be believed before it is
    /// [proved](is_proved).
    Store(Box<Superblock>, Signature),
    /// Nothing is written in any slot: the making of the store was cut short.
    Blank,
    /// Something is written, but no slot is sound, and why: damage, or the making of the store was cut short.
    Unsound(Error),
}

impl SuperblockFile {
    /// Creates the file with its first slot. It counts once the directory is synced.
    pub fn create(
        env: &Env,
        path: &Path,
        first: Superblock,
        ring: Option<Arc<Keyring>>,
    ) -> Result<SuperblockFile> {
        let failed = |error| Error::io(format!("making the superblock {}", path.display()), error);
        let file = env.vfs.open(path, OpenMode::CreateNew, Site::SUPERBLOCK_WRITE).map_err(failed)?;
        let mut all = vec![0; SLOT_LEN * SLOTS as usize];
        let at = (first.generation % SLOTS) as usize * SLOT_LEN;
        all[at..at + SLOT_LEN].copy_from_slice(&encode(&first, ring.as_deref()));
        let written = file
            .write_at(&[IoSlice::new(&all)], 0, Site::SUPERBLOCK_WRITE)
            .and_then(|()| file.sync_data(Site::SUPERBLOCK_SYNC));
        if let Err(error) = written {
            // A part of it must not pass for a store.
            let _ = env.vfs.remove(path, Site::STORE_DIR);
            return Err(failed(error));
        }
        let name = path.display().to_string();
        Ok(SuperblockFile {
            file,
            name,
            newest: Mutex::new(first),
            ring,
            uniform: true.into(),
            reserve: OnceLock::new(),
        })
    }

    /// Opens the file and reads all slots.
    pub fn open(env: &Env, path: &Path, mode: OpenMode) -> Result<(Arc<dyn File>, Found)> {
        let failed = |error| Error::io(format!("reading the superblock {}", path.display()), error);
        let file = env.vfs.open(path, mode, Site::SUPERBLOCK_READ).map_err(failed)?;
        let mut newest: Option<(Superblock, Signature)> = None;
        let mut written = false;
        let mut reason = "it is cut off";
        for slot in 0..SLOTS {
            let mut bytes = vec![0; SLOT_LEN];
            match file.read_exact_at(&mut bytes, slot * SLOT_LEN as u64, Site::SUPERBLOCK_READ) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(failed(error)),
                Ok(()) => {}
            }
            match Superblock::decode(&bytes) {
                Ok(block)
                    if newest.as_ref().is_none_or(|(newest, _)| newest.generation < block.generation) =>
                {
                    newest = Some((block, superblock::signature(&bytes)));
                }
                Ok(_) => {}
                Err(Refused::Version(version)) => {
                    return Err(unsupported(path, format!("format version {version}")));
                }
                Err(Refused::Features(bits)) => return Err(unsupported(path, format!("features {bits:#x}"))),
                Err(Refused::Unsound(why)) => {
                    if bytes.iter().any(|byte| *byte != 0) {
                        written = true;
                        reason = why;
                    }
                }
            }
        }
        let size = file.size().map_err(failed)?;
        match newest {
            // All slots are written before anything else is: a file that is too short was never a store's.
            Some((block, _)) if block.is_young() && size < SLOT_LEN as u64 * SLOTS => {
                Ok((file, Found::Blank))
            }
            Some((block, signature)) => Ok((file, Found::Store(Box::new(block), signature))),
            None if written => {
                let why = format!("no slot of the superblock is sound: {reason}");
                Ok((file, Found::Unsound(Error::corrupt(path.display(), 0, why))))
            }
            None => Ok((file, Found::Blank)),
        }
    }

    /// The superblock of a file that was opened.
    pub fn new(
        file: Arc<dyn File>,
        path: &Path,
        newest: Superblock,
        ring: Option<Arc<Keyring>>,
    ) -> SuperblockFile {
        let name = path.display().to_string();
        let uniform = AtomicBool::new(ring.is_none() || has_no_other_keys(&*file, &newest));
        SuperblockFile { file, name, newest: Mutex::new(newest), ring, uniform, reserve: OnceLock::new() }
    }

    /// Lets it use the reserve.
    pub fn set_reserve(&self, reserve: Arc<Reserve>) {
        let _ = self.reserve.set(reserve);
    }

    /// Whether no slot has other keys than the newest one, not even in a part that is damaged.
    pub fn is_uniform(&self) -> bool {
        self.uniform.load(Ordering::Acquire)
    }

    /// Takes note that every slot was written with the newest keys.
    pub fn set_uniform(&self) {
        self.uniform.store(true, Ordering::Release);
    }

    /// Makes all slots durable, as another process may have left them.
    pub fn sync(&self) -> Result<()> {
        let failed = |error| Error::io(format!("syncing the superblock {}", self.name), error);
        self.file.sync_data(Site::SUPERBLOCK_SYNC).map_err(failed)
    }

    /// The keys of a sealed store.
    pub fn ring(&self) -> Option<&Arc<Keyring>> {
        self.ring.as_ref()
    }

    /// The newest superblock.
    pub fn newest(&self) -> Superblock {
        self.newest.lock().clone()
    }

    /// The features that a reader has to know.
    pub fn features(&self) -> u64 {
        self.newest.lock().required_features
    }

    /// Takes over what another reading has found.
    pub fn adopt(&self, newest: Superblock) {
        *self.newest.lock() = newest;
    }

    /// Writes the next superblock into the next slot and makes it durable. After an error it is not known
    /// which one counts, so the store must not be written any more.
    pub fn update(&self, env: &Env, change: impl FnOnce(&mut Superblock)) -> Result<()> {
        let failed = |error| Error::io(format!("writing the superblock {}", self.name), error);
        let mut newest = self.newest.lock();
        let mut next = newest.clone();
        next.generation += 1;
        // Whoever writes to a backup makes a store of its own of it.
        next.backup = false;
        change(&mut next);
        let slot = if env.planted(Planted::OneSlot) { 0 } else { next.generation % SLOTS };
        let at = slot * SLOT_LEN as u64;
        let bytes = encode(&next, self.ring.as_deref());
        let write = || self.file.write_at(&[IoSlice::new(&bytes)], at, Site::SUPERBLOCK_WRITE);
        let mut written = write();
        // Where nothing is written in place, a full disk has no room even for this.
        while written.as_ref().is_err_and(is_full)
            && self.reserve.get().is_some_and(|reserve| reserve.spend(env, Spender::Checkpoint))
        {
            written = write();
        }
        written.map_err(failed)?;
        if !env.planted(Planted::SkipSuperblockSync) {
            self.file.sync_data(Site::SUPERBLOCK_SYNC).map_err(failed)?;
        }
        *newest = next;
        Ok(())
    }
}

/// Whether every slot that was ever written has these keys.
fn has_no_other_keys(file: &dyn File, newest: &Superblock) -> bool {
    (0..SLOTS).all(|slot| {
        let mut bytes = vec![0; SLOT_LEN];
        match file.read_exact_at(&mut bytes, slot * SLOT_LEN as u64, Site::SUPERBLOCK_READ) {
            Ok(()) if bytes.iter().all(|byte| *byte == 0) => true,
            Ok(()) => Superblock::decode(&bytes).is_ok_and(|block| block.keys == newest.keys),
            Err(_) => false,
        }
    })
}

/// The slot as it is written; that of a sealed store is signed.
fn encode(block: &Superblock, ring: Option<&Keyring>) -> Vec<u8> {
    let mut bytes = block.encode();
    if let Some(ring) = ring {
        let signature = superblock::signature(&bytes);
        superblock::sign(&mut bytes, &ring.superblock_sum(&signature.digest));
    }
    bytes
}

/// Whether a superblock was written by somebody who had the store's key.
pub fn is_proved(signature: &Signature, ring: &Keyring) -> bool {
    blake3::Hash::from_bytes(ring.superblock_sum(&signature.digest)) == signature.sum
}

fn unsupported(path: &Path, what: String) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "NotImplemented",
        format!("{} was written by a newer Ossicle ({what}); open it with that version", path.display()),
    )
}
