//! The keys of a store as it is opened: unwrapped, made, and wrapped anew.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::crypto::{Chance, KeyProvider, Keyring, Locked, Wrapped};
use crate::engine::directory::superblock::is_proved;
use crate::env::{Entropy, Env, Mistake, Planted};
use crate::error::{Error, ErrorKind, Result};
use crate::format::superblock::{Keys, Signature, Superblock};

/// What a sealed store is opened with.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// Whoever unwraps its root.
    Provider(Arc<dyn KeyProvider>),
    /// Its keys, which are known already.
    Ring(Arc<Keyring>),
}

/// Chance, as the keys want it.
#[derive(Debug)]
struct Draw(Arc<dyn Entropy>, Mistake);

impl Chance for Draw {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn used(&self, key: [u8; 16], nonce: [u8; 24]) {
        self.0.used_nonce(key, nonce);
    }

    fn repeats_itself(&self) -> bool {
        self.1.is(Planted::NonceRepeats)
    }
}

pub(in crate::engine) fn draw(env: &Env) -> Arc<dyn Chance> {
    Arc::new(Draw(env.entropy.clone(), env.mistake()))
}

/// What tells one opening from another, should chance repeat itself.
pub(in crate::engine) fn moment(env: &Env, run: u64) -> Vec<u8> {
    let since = env.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let fixed = env.clock.monotonic();
    [since.as_nanos().to_le_bytes(), fixed.as_nanos().to_le_bytes(), u128::from(run).to_le_bytes()].concat()
}

/// The keys of the store that `block` describes, which is believed only then. Changes nothing.
pub fn unlock(
    env: &Env,
    dir: &Path,
    unlock: Option<&Unlock>,
    block: &Superblock,
    signature: &Signature,
) -> Result<Option<Arc<Keyring>>> {
    let ring = match (&block.keys, unlock) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return Err(Error::invalid(
                "InvalidArgument",
                format!(
                    "the store at {} is not encrypted; open it without a key, or copy it into a new store that has one",
                    dir.display()
                ),
            ));
        }
        (Some(keys), None) => {
            return Err(denied(
                dir,
                &format!("it is encrypted with the key {:?}; open it with that key", keys.key_id),
            ));
        }
        (Some(keys), Some(Unlock::Ring(ring))) if ring.is_committed_to(&keys.commitment) => ring.clone(),
        (Some(keys), Some(Unlock::Ring(_))) => {
            return Err(denied(dir, &format!("it belongs to another store: its key is {:?}", keys.key_id)));
        }
        (Some(keys), Some(Unlock::Provider(provider))) => {
            let wrapped = Wrapped {
                key_id: keys.key_id.clone(),
                root: keys.root.clone(),
                commitment: keys.commitment,
                shred: keys.shred,
            };
            let moment = moment(env, block.run);
            let opened = Keyring::open(&**provider, &wrapped, block.store_id, &moment, draw(env));
            let ring = opened.map_err(|locked| explain(dir, &keys.key_id, &provider.key_id(), locked))?;
            Arc::new(ring)
        }
    };
    if !is_proved(signature, &ring) && !env.planted(Planted::SuperblockUnsigned) {
        let reason = "it was changed by somebody who does not have the store's key";
        return Err(Error::corrupt(
            dir.join(crate::engine::directory::files::SUPERBLOCK).display(),
            0,
            reason,
        ));
    }
    Ok(Some(ring))
}

/// Keys for a new store.
pub fn make(
    env: &Env,
    dir: &Path,
    unlock: Option<&Unlock>,
    store_id: [u8; 16],
) -> Result<Option<(Arc<Keyring>, Box<Keys>)>> {
    let Some(Unlock::Provider(provider)) = unlock else {
        return Ok(None);
    };
    let made = Keyring::make(&**provider, store_id, &moment(env, 0), draw(env));
    let (ring, wrapped) =
        made.map_err(|locked| explain(dir, &provider.key_id(), &provider.key_id(), locked))?;
    Ok(Some((Arc::new(ring), stored(wrapped))))
}

/// The keys as the superblock has them.
pub(super) fn stored(wrapped: Wrapped) -> Box<Keys> {
    let Wrapped { key_id, root, commitment, shred } = wrapped;
    Box::new(Keys { key_id, root, commitment, shred })
}

fn denied(dir: &Path, why: &str) -> Error {
    let told = format!("the store at {} cannot be opened: {why}", dir.display());
    Error::new(ErrorKind::Denied, "AccessDenied", told)
}

pub(super) fn explain(dir: &Path, wanted: &str, given: &str, locked: Locked) -> Error {
    match locked {
        Locked::Provider(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let why = format!(
                "it is encrypted with the key {wanted:?}, and the one given ({given:?}) does not fit"
            );
            denied(dir, &why).with_source(error)
        }
        Locked::Provider(error) if error.kind() == std::io::ErrorKind::InvalidInput => Error::invalid(
            "InvalidArgument",
            format!("the key {wanted:?} of the store at {} is refused: {error}", dir.display()),
        )
        .with_source(error),
        Locked::Provider(error) => Error::key_unavailable(
            format!("the key {wanted:?} of the store at {} could not be had: {error}", dir.display()),
            error,
        ),
        Locked::Wrong(why) => {
            denied(dir, &format!("the provider of the key {wanted:?} gives no good one: {why}"))
        }
    }
}
