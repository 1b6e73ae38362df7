//! Moving a read-only opening on to the newest durable state.

use super::read_only::{Loaded, Look, load, look, options_of};
use super::recovery;
use super::registration::cannot_register;
use crate::engine::directory::files::SUPERBLOCK;
use crate::engine::state::engine::Engine;
use crate::engine::state::reader::{Place, Reader, Seat};
use crate::error::{Error, Result};
use crate::format::notice::Standing;
use crate::format::superblock::Superblock;
use crate::model::Lsn;

impl Engine {
    /// Moves the store to the newest durable state, and says which commit is its last. See
    /// [`Store::refresh`](crate::Store::refresh).
    pub fn refresh(&self) -> Result<Lsn> {
        self.check_open()?;
        if let Some(reader) = &self.reader {
            let mut place = reader.place.lock();
            self.check_open()?;
            if reader.seat.lock().is_some() {
                self.look_again()?;
                let anew = reader.sit_again(&mut place, self)?;
                reader.move_on(&mut place, self, anew)?;
                reader.tell(&mut place);
                // Followers of the feed wait for what a refresh brings.
                self.feed.ring();
            }
        }
        Ok(Lsn(self.view.load().lsn))
    }

    /// Ends the registration as a reader.
    pub(in crate::engine) fn leave(&self) {
        if let Some(reader) = &self.reader {
            // A refresh that has begun still needs it; the next one finds the store closed.
            let _one = reader.place.lock();
            drop(reader.seat.lock().take());
        }
    }

    /// Takes the state of another engine of the same store over.
    pub(in crate::engine) fn take_over(&self, other: Engine) {
        let Engine { view, writer, checkpointing, tables, superblock, .. } = other;
        *self.checkpointing.lock() = checkpointing.into_inner();
        let mut ours = self.writer.lock();
        let theirs = writer.into_inner();
        // When the first of the commits between was made is not known.
        if ours.view.lsn != theirs.view.lsn {
            ours.view.reign.end(0);
        }
        *ours = theirs;
        self.tables.replace(tables.current());
        self.superblock.adopt(superblock.newest());
        self.view.store(view.load_full());
    }
}

impl Reader {
    /// Registers again if somebody has removed the registration. Says whether that was so: then the writer may have used
    /// again what this reader needs, and nothing that it knows is built on.
    pub(in crate::engine) fn sit_again(&self, place: &mut Place, engine: &Engine) -> Result<bool> {
        let mut seat = self.seat.lock();
        if seat.as_ref().is_none_or(Seat::is_there) {
            return Ok(false);
        }
        let fresh = Seat::take(&options_of(engine)).map_err(|error| cannot_register(&engine.dir, error))?;
        *seat = Some(fresh);
        place.told = 0;
        Ok(true)
    }

    pub(in crate::engine) fn move_on(&self, place: &mut Place, engine: &Engine, anew: bool) -> Result<()> {
        let options = options_of(engine);
        let Look { block, standing, .. } = look(&options, false)?;
        if block.store_id != place.block.store_id {
            let why = "another store lies here than the one that was opened; open it again";
            return Err(Error::corrupt(engine.dir.join(SUPERBLOCK).display(), 0, why));
        }
        match standing {
            _ if anew => {}
            None if place.run.is_none() && block.generation == place.block.generation => return Ok(()),
            Some(standing) if place.run == Some(standing.run) && same_tree(&block, &place.block) => {
                if place.end >= standing.durable {
                    return Ok(());
                }
                // If this fails, it is looked at from the beginning: the writer may have moved on.
                let same_segment = standing.durable.segment == place.end.segment;
                let walk = |listed| recovery::follow(engine, place.end, &standing, listed);
                if (same_segment && walk(false).is_ok_and(|done| done)) || walk(true).is_ok() {
                    place.end = standing.durable;
                    return Ok(());
                }
            }
            _ => {}
        }
        let known = (!anew).then(|| (&*place, engine.tables.current()));
        let Loaded { engine: found, block, standing, end } = load(&options, false, known)?;
        engine.take_over(found);
        (place.block, place.end) = (block, end);
        self.stand(place, engine, standing);
        Ok(())
    }

    /// Notes where the engine stands now.
    pub(in crate::engine) fn stand(&self, place: &mut Place, engine: &Engine, standing: Option<Standing>) {
        place.run = standing.map(|standing| standing.run);
        place.trees.push((place.block.generation, engine.view.load().index.tree.watch()));
    }
}

fn same_tree(one: &Superblock, other: &Superblock) -> bool {
    let shred = |block: &Superblock| block.keys.as_ref().map(|keys| keys.shred);
    one.checkpoint == other.checkpoint && one.index_file == other.index_file && shred(one) == shred(other)
}
