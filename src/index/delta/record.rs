//! What a change of the delta is, as its nodes keep it.

use crate::env::Lent;
use crate::format::page::{decode_leaf_tail, encode_leaf_tail};
use crate::format::varint;
use crate::format::weight::{Totals, Weight};
use crate::index::item::{Item, NewItem};

/// What the delta holds for a key: the item, and the weight of what it hides in the layers beneath.
#[derive(Debug)]
pub(in crate::index) struct Record<'d> {
    pub(in crate::index) item: Item<'d>,
    pub(in crate::index) below: Option<Weight>,
}

impl<'d> Record<'d> {
    /// The item as a leaf cell of a page has it, behind it the weight below with its slot plus one, or zero.
    pub(super) fn encode(out: &mut Vec<u8>, item: NewItem<'_>, below: Option<Weight>) {
        encode_leaf_tail(out, item.lsn, item.tombstone, item.weight, item.value);
        match below {
            None => out.push(0),
            Some(weight) => {
                out.push(weight.slot + 1);
                varint::put(out, weight.objects);
                varint::put(out, weight.bytes);
            }
        }
    }

    /// Reads back what `encode` wrote.
    pub(in crate::index) fn decode(tail: &'d [u8]) -> Record<'d> {
        const OWN: &str = "the delta reads what it wrote itself";
        let mut at = 0;
        let cell = decode_leaf_tail(tail, &mut at).expect(OWN);
        let slot = tail[at];
        at += 1;
        let below = (slot > 0).then(|| Weight {
            slot: slot - 1,
            objects: varint::get(tail, &mut at).expect(OWN),
            bytes: varint::get(tail, &mut at).expect(OWN),
        });
        let value = Lent::Borrowed(&tail[cell.value]);
        Record { item: Item { lsn: cell.lsn, tombstone: cell.tombstone, weight: cell.weight, value }, below }
    }

    pub(in crate::index) fn add_to(&self, totals: &mut Totals) {
        totals.add(self.item.weight);
        if let Some(below) = self.below {
            totals.sub(below);
        }
    }
}
