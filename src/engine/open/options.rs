//! Options of opening.

use std::path::PathBuf;
use std::sync::Arc;

use crate::crypto::Keyring;
use crate::engine::keys::unlock::Unlock;
use crate::engine::state::settings::Settings;
use crate::env::Env;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The store's directory.
    pub dir: PathBuf,
    /// Files, time and chance.
    pub env: Env,
    /// How it behaves.
    pub settings: Settings,
    /// Whether it is opened for reading only.
    pub read_only: bool,
    /// Whether a missing store is made.
    pub create: bool,
    /// Whether the index is thrown away and made anew from the log.
    pub rebuild_index: bool,
    /// What an encrypted store is opened with; a store that is made now is encrypted if there is something.
    pub unlock: Option<Unlock>,
}

impl OpenOptions {
    /// The keys of a store that was unlocked.
    pub(in crate::engine) fn ring(&self) -> Option<Arc<Keyring>> {
        match &self.unlock {
            Some(Unlock::Ring(ring)) => Some(ring.clone()),
            _ => None,
        }
    }
}
