//! Walking the map in key order, either way, over all its layers at once.

use super::index::Index;
use super::item::Item;
use crate::error::Result;
use crate::index::delta::cursor::DeltaCursor;
use crate::index::tree::cursor::TreeCursor;

/// A place in the map: at a key, before the first, behind the last, or nowhere yet.
#[derive(Debug)]
pub struct Cursor<'i> {
    layers: Vec<Layer<'i>>,
    /// The layer that holds the current key; the uppermost if several do.
    current: Option<usize>,
    state: State,
    tombstones: bool,
}

/// Where the layers stand: all at their first key at or above the current one, or all at their last at or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unplaced,
    Forward,
    Backward,
    BeforeFirst,
    BehindLast,
}

#[derive(Debug)]
enum Layer<'i> {
    Delta(DeltaCursor<'i>),
    Tree(TreeCursor<'i>),
}

impl Index {
    /// A cursor over all layers that shows no tombstones. It is nowhere until it is told to go somewhere.
    pub fn cursor(&self) -> Cursor<'_> {
        let mut layers = Vec::with_capacity(3);
        let deltas = [Some(&self.active), self.frozen.as_ref()];
        layers.extend(
            deltas
                .into_iter()
                .flatten()
                .filter(|delta| !delta.is_empty())
                .map(|delta| Layer::Delta(DeltaCursor::new(delta))),
        );
        layers.push(Layer::Tree(TreeCursor::new(&self.tree)));
        Cursor { layers, current: None, state: State::Unplaced, tombstones: false }
    }
}

impl<'i> Cursor<'i> {
    /// Shows tombstones as well.
    #[cfg(test)]
    pub fn with_tombstones(mut self) -> Cursor<'i> {
        self.tombstones = true;
        self
    }

    /// The key it stands at.
    pub fn key(&self) -> Option<&[u8]> {
        self.layers[self.current?].key()
    }

    /// The item it stands at.
    pub fn item(&self) -> Result<Option<Item<'_>>> {
        self.current.map_or(Ok(None), |layer| self.layers[layer].item())
    }

    /// To the first key at or above `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.unplace();
        self.layers.iter_mut().try_for_each(|layer| layer.seek(key))?;
        self.choose(State::Forward)
    }

    /// To the last key below `key`.
    pub fn seek_last_before(&mut self, key: &[u8]) -> Result<()> {
        self.unplace();
        self.layers.iter_mut().try_for_each(|layer| layer.seek_last_before(Some(key)))?;
        self.choose(State::Backward)
    }

    /// To the last key.
    pub fn seek_last(&mut self) -> Result<()> {
        self.unplace();
        self.layers.iter_mut().try_for_each(|layer| layer.seek_last_before(None))?;
        self.choose(State::Backward)
    }

    /// To the next key; to the first one from nowhere or from before it.
    pub fn next(&mut self) -> Result<()> {
        match self.state {
            State::Unplaced | State::BeforeFirst => return self.seek(&[]),
            State::BehindLast => return Ok(()),
            State::Forward => self.step(State::Forward)?,
            State::Backward => self.turn(State::Forward)?,
        }
        self.choose(State::Forward)
    }

    /// To the key before; to the last one from nowhere or from behind it.
    pub fn prev(&mut self) -> Result<()> {
        match self.state {
            State::Unplaced | State::BehindLast => return self.seek_last(),
            State::BeforeFirst => return Ok(()),
            State::Backward => self.step(State::Backward)?,
            State::Forward => self.turn(State::Backward)?,
        }
        self.choose(State::Backward)
    }

    /// After an error a cursor is nowhere, so that it cannot show half a step.
    fn unplace(&mut self) {
        self.current = None;
        self.state = State::Unplaced;
    }

    /// Moves every layer that stands at the current key one on.
    fn step(&mut self, way: State) -> Result<()> {
        let Some(current) = self.current else {
            return Ok(());
        };
        self.unplace();
        for index in 0..self.layers.len() {
            let same = index == current || self.layers[index].key() == self.layers[current].key();
            // The current layer is moved last: the others are compared with its key.
            if same && index != current {
                self.layers[index].step(way)?;
            }
        }
        self.layers[current].step(way)
    }

    /// Turns around: every layer goes to its nearest key on the other side of the current one.
    fn turn(&mut self, way: State) -> Result<()> {
        let Some(key) = self.key().map(<[u8]>::to_vec) else {
            return Ok(());
        };
        self.unplace();
        for layer in &mut self.layers {
            if way == State::Backward {
                layer.seek_last_before(Some(&key))?;
            } else {
                layer.seek(&key)?;
                if layer.key() == Some(&key[..]) {
                    layer.step(way)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the nearest key of all layers the current one, past hidden tombstones.
    fn choose(&mut self, way: State) -> Result<()> {
        loop {
            self.current = None;
            for (index, layer) in self.layers.iter().enumerate() {
                let Some(key) = layer.key() else { continue };
                let nearer = match self.current.and_then(|best| self.layers[best].key()) {
                    None => true,
                    Some(best) if way == State::Forward => key < best,
                    Some(best) => key > best,
                };
                if nearer {
                    self.current = Some(index);
                }
            }
            let Some(current) = self.current else {
                self.state = if way == State::Forward { State::BehindLast } else { State::BeforeFirst };
                return Ok(());
            };
            self.state = way;
            if self.tombstones {
                return Ok(());
            }
            match self.layers[current].is_tombstone() {
                Ok(true) => self.step(way)?,
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.unplace();
                    return Err(error);
                }
            }
        }
    }
}

impl Layer<'_> {
    fn key(&self) -> Option<&[u8]> {
        match self {
            Layer::Delta(cursor) => cursor.key(),
            Layer::Tree(cursor) => cursor.key(),
        }
    }

    fn item(&self) -> Result<Option<Item<'_>>> {
        match self {
            Layer::Delta(cursor) => Ok(cursor.record().map(|record| record.item)),
            Layer::Tree(cursor) => cursor.item(),
        }
    }

    fn is_tombstone(&self) -> Result<bool> {
        Ok(self.item()?.is_some_and(|item| item.tombstone))
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        match self {
            Layer::Delta(cursor) => {
                cursor.seek(key);
                Ok(())
            }
            Layer::Tree(cursor) => cursor.seek(key),
        }
    }

    fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        match self {
            Layer::Delta(cursor) => {
                cursor.seek_last_before(key);
                Ok(())
            }
            Layer::Tree(cursor) => cursor.seek_last_before(key),
        }
    }

    fn step(&mut self, way: State) -> Result<()> {
        match self {
            Layer::Delta(cursor) if way == State::Forward => cursor.next(),
            Layer::Delta(cursor) => cursor.prev(),
            Layer::Tree(cursor) if way == State::Forward => return cursor.next(),
            Layer::Tree(cursor) => return cursor.prev(),
        }
        Ok(())
    }
}
