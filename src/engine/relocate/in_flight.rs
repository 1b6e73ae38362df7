//! Copies under way: whoever shreds waits for those that may have read what is dead by now, and for no others.
//!
//! A copy holds a [`Copying`] from before it looks at what it copies until its commit has come back. Whoever shreds has
//! deleted before, so copies that begin meanwhile see that, and nobody waits for whoever shreds.

use crate::engine::state::engine::Engine;
use crate::engine::state::in_flight::Copying;

impl Engine {
    /// To be held while bytes are copied from one place to another: from before it is looked whether they are still
    /// needed until the commit that needs the copy has come back. Not while others are asked for something, such as a key:
    /// they may want to shred.
    pub fn begin_move(&self) -> Copying<'_> {
        self.copies.begin()
    }
}
