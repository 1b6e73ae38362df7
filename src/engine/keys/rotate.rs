//! Changing the key of the store.

use std::sync::Arc;

use super::unlock::{explain, stored};
use crate::crypto::{KeyProvider, Keyring};
use crate::engine::directory::segment_keys;
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, Result};
use crate::format::superblock::SLOTS;

impl Engine {
    /// The keys of the store, if it is sealed.
    pub fn ring(&self) -> Option<&Arc<Keyring>> {
        self.maker.identity.ring.as_ref()
    }

    /// The name of the key that the store is encrypted with.
    pub fn key_id(&self) -> Option<String> {
        self.superblock.newest().keys.map(|keys| keys.key_id)
    }

    /// Wraps the root key with another provider's key. When this has come back, nothing in the directory can be opened
    /// with the old one any more.
    pub fn rotate_key(&self, provider: &dyn KeyProvider) -> Result<()> {
        self.refuse_inside_turn()?;
        let Some(ring) = self.ring() else {
            return Err(Error::invalid(
                "InvalidArgument",
                "the store is not encrypted; copy it into a new store that has a key",
            ));
        };
        let id = provider.key_id();
        let wrapped = ring.wrap(provider).map_err(|locked| explain(&self.dir, &id, &id, locked))?;
        let mut keys = stored(wrapped);
        let _one = self.checkpointing.lock();
        self.check_writable()?;
        // It may have been replaced since.
        keys.shred = self.superblock.newest().keys.map_or(keys.shred, |newest| newest.shred);
        // The newest slot counts at once; the others are written over, because the old wrap stands in them.
        let slots = if self.planted(Planted::SlotLeft) { SLOTS - 1 } else { SLOTS };
        for _ in 0..slots {
            let next = keys.clone();
            self.superblock
                .update(&self.env, |block| block.keys = Some(next))
                .map_err(|error| self.poison(error))?;
        }
        Ok(())
    }

    /// Writes the newest keys over what older slots may still have of others, and removes what no key opens any more: a
    /// change of keys that was cut short is done with then.
    pub(in crate::engine) fn finish_change_of_keys(&self) -> Result<()> {
        let Some(ring) = self.ring().filter(|_| !self.superblock.newest().backup) else { return Ok(()) };
        if !self.superblock.is_uniform() {
            for _ in 1..SLOTS {
                self.superblock.update(&self.env, |_| {}).map_err(|error| self.poison(error))?;
            }
            self.superblock.set_uniform();
        }
        segment_keys::remove_others(&self.env, &self.dir, ring.shred_name())
    }
}
