//! The environment of a store: files, time and chance.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::{Clock, SystemClock};
use super::entropy::{Entropy, OsEntropy};
use super::ground::Ground;
use super::permissions::Permissions;
use super::planted::{Mistake, Planted};
use super::process::Process;
use super::vfs::{FileId, Vfs};
use crate::env::memory::memory::MemoryVfs;
use crate::env::real::real::RealVfs;

/// Everything a store needs from outside: files, time and chance.
#[derive(Clone, Debug)]
pub struct Env {
    /// The files.
    pub vfs: Arc<dyn Vfs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The directories that are held, if this is the world of an open store.
    ground: Option<Arc<Ground>>,
    /// The process that all this belongs to.
    process: Process,
    /// A mistake that is switched on, to test the tests.
    #[cfg(feature = "planted-bugs")]
    pub mistake: Option<Planted>,
}

impl Env {
    /// The real world.
    pub fn real() -> Env {
        Env::new(Arc::new(RealVfs::new()), Arc::new(SystemClock), Arc::new(OsEntropy))
    }

    /// A disk of its own in memory, with real time and real randomness.
    pub fn memory() -> Env {
        Env::new(Arc::new(MemoryVfs::new()), Arc::new(SystemClock), Arc::new(OsEntropy))
    }

    /// Of these parts.
    pub fn new(vfs: Arc<dyn Vfs>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Env {
        Env {
            vfs,
            clock,
            entropy,
            ground: None,
            process: Process::current(),
            #[cfg(feature = "planted-bugs")]
            mistake: None,
        }
    }

    /// The same, but what is made gets these permissions.
    pub fn with_permissions(mut self, permissions: Permissions) -> Env {
        self.vfs = self.vfs.with_permissions(permissions).unwrap_or(self.vfs);
        self
    }

    /// The same, but what is made gets the permissions of the file at `path`, if there is one.
    pub fn with_those_of(mut self, path: &Path) -> Env {
        self.vfs = self.vfs.with_those_of(path).unwrap_or(self.vfs);
        self
    }

    /// The same world for whoever works in the directory `dir`, which must be there: held from now on, and only in this
    /// process. With it the name that the directory has to be called by.
    pub fn standing_in(&self, dir: &Path) -> io::Result<(Env, PathBuf)> {
        let (ground, dir) = Ground::new(self.vfs.clone(), dir)?;
        let ground = Arc::new(ground);
        let mut env = self.clone();
        env.vfs = ground.clone();
        env.ground = Some(ground);
        env.process = Process::current();
        Ok((env, dir))
    }

    /// Holds another directory as well, as a part of what is stood on that may go without the rest.
    pub fn also_hold(&self, dir: &Path) -> io::Result<()> {
        self.ground.as_ref().map_or(Ok(()), |ground| ground.also_hold(dir))
    }

    /// From now on the name of this file must lead to it, or the ground is lost.
    pub fn mark(&self, path: &Path, file: Option<FileId>) {
        if let (Some(ground), Some(file)) = (&self.ground, file) {
            ground.mark(path, file);
        }
    }

    /// Looks whether the directory is still the one that was held, and the marks in it are what they were. Says why if not,
    /// and goes on saying so.
    pub fn look_again(&self) -> Result<(), &str> {
        self.ground.as_ref().map_or(Ok(()), |ground| ground.look_again())
    }

    /// Why the ground is lost, if somebody has noticed.
    #[inline]
    pub fn lost(&self) -> Option<&str> {
        self.ground.as_ref().and_then(|ground| ground.lost())
    }

    /// Whether this is the process that this belongs to, and not one that was forked from it.
    #[inline]
    pub fn is_here(&self) -> bool {
        self.process.is_here()
    }

    /// `Closed` in any other.
    #[inline]
    pub fn check_here(&self) -> crate::error::Result<()> {
        self.process.check()
    }

    /// The mistake that is switched on.
    pub fn mistake(&self) -> Mistake {
        Mistake::of(
            #[cfg(feature = "planted-bugs")]
            self.mistake,
        )
    }

    /// Whether this mistake is switched on. Without the feature `planted-bugs` the answer is always no, and the
    /// compiler knows it.
    #[inline]
    pub fn planted(&self, mistake: Planted) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self.mistake == Some(mistake);
        #[cfg(not(feature = "planted-bugs"))]
        {
            let _ = mistake;
            false
        }
    }
}
