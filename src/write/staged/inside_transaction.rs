//! What a transaction reads besides rows: bodies that it has made itself, and what outlives it as a listing.

use super::overlay::{Local, Overlay, Staged};
use crate::catalog::Rows;
use crate::engine::{self, BodyReader, NewBody, OwnedBody, View};
use crate::error::Result;

impl Overlay {
    /// The changes between these keys, without their bodies: a listing goes on showing them, whatever becomes of the rest.
    pub fn excerpt(&self, ranges: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Overlay {
        let mut excerpt = Overlay::default();
        for (from, end) in ranges {
            if from >= end {
                continue;
            }
            for (key, local) in self.changed.range(from..end) {
                let local = match local {
                    Local::Gone => Local::Gone,
                    Local::Put { weight, payload, .. } => Local::Put {
                        weight: *weight,
                        body: NewBody::None,
                        payload: payload.clone(),
                        carried: None,
                    },
                };
                excerpt.changed.insert(key.clone(), local);
            }
        }
        excerpt
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}

impl Staged<'_> {
    /// A reader of a body that was found among the rows. `view` has the segments that were made since, too.
    pub fn body(&self, view: &View, body: &NewBody) -> Result<BodyReader> {
        match body {
            // What was appended by the steps so far is known to nobody else yet.
            NewBody::Shared(shared) if self.overlay.pieces.contains_key(&shared.blob) => {
                let mut pieces = Vec::new();
                let (from, end) = (engine::piece_key(shared.blob, 0), engine::end_key(shared.blob));
                self.walk(&from, &end, &mut |key| {
                    let found = self.get(key)?.map(|found| found.body.to_owned_body());
                    pieces.push(found.unwrap_or(OwnedBody::None));
                    Ok(true)
                })?;
                BodyReader::of_pieces(view, shared, pieces)
            }
            body => BodyReader::new(view, body.to_owned_body()),
        }
    }
}
