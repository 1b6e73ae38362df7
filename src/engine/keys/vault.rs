//! The vault of an open store: keys with names, which wrap the keys of buckets.

use std::sync::Arc;

use super::unlock::{draw, moment};
use crate::crypto::{KeyProvider, Vault};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::superblock::FEATURE_ENVELOPES;

impl Engine {
    /// Says which named keys there are. To be called before anybody asks for the vault; later it has no effect.
    pub fn equip(&self, providers: Vec<Arc<dyn KeyProvider>>) {
        // Most stores have none, and draw no random numbers for them.
        if !providers.is_empty() {
            self.vault.get_or_init(|| self.new_vault(providers));
        }
    }

    /// The named keys that there are.
    pub fn vault(&self) -> &Vault {
        self.vault.get_or_init(|| self.new_vault(Vec::new()))
    }

    fn new_vault(&self, providers: Vec<Arc<dyn KeyProvider>>) -> Vault {
        Vault::new(providers, &moment(&self.env, self.superblock.newest().run), draw(&self.env))
    }

    /// Makes the superblock say that there may be enveloped bodies, before the first row says so.
    pub fn require_envelopes(&self) -> Result<()> {
        self.check_writable()?;
        self.require(FEATURE_ENVELOPES)
    }
}
