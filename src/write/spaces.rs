//! Key spaces and who reads them: how many buckets share one, and where a key of a bucket is stored.

use crate::catalog::keyspace::keys;
use crate::catalog::{KINDS, Layer, Route, Rows, Span, layer_ranges};
use crate::env::Planted;
use crate::error::Result;
use crate::format::row::PendingWork;
use crate::format::varint;
use crate::index::Weight;
use crate::write::staged::overlay::Staged;

/// Whether there is no row in a layer, not even one that hides another.
pub fn is_empty(rows: &impl Rows, layer: &Layer) -> Result<bool> {
    for kind in KINDS {
        for (from, end) in layer_ranges(layer, kind) {
            if rows.next(&from, &end)?.is_some() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How many buckets read a space without owning it.
pub fn borrowers(rows: &impl Rows, space: u64) -> Result<u64> {
    let found = rows.get(&keys::space_refs(space))?;
    Ok(found.and_then(|found| varint::take(&mut &found.payload[..])).unwrap_or(0))
}

fn set_borrowers(staged: &mut Staged<'_>, space: u64, count: u64) {
    let mut payload = Vec::new();
    varint::put(&mut payload, count);
    staged.put(keys::space_refs(space), Weight::default(), payload);
}

/// Counts a bucket among those that read these spaces, where nobody is counted though it reads them.
pub fn count_once(staged: &mut Staged<'_>, spaces: &[u64]) -> Result<()> {
    for space in spaces {
        if borrowers(staged, *space)? == 0 {
            set_borrowers(staged, *space, 1);
        }
    }
    Ok(())
}

/// Counts the spaces that a bucket reads now and did not before, and lets go of those that it reads no more.
pub fn borrow(staged: &mut Staged<'_>, before: &[u64], after: &[u64]) -> Result<()> {
    for space in after.iter().filter(|space| !before.contains(space)) {
        let count = borrowers(staged, *space)?;
        set_borrowers(staged, *space, count + 1);
    }
    count_once(staged, after)?;
    for space in before.iter().filter(|space| !after.contains(space)) {
        let_go(staged, *space)?;
    }
    Ok(())
}

/// A bucket reads a space no more. If it was the last one, what is in it goes.
pub fn let_go(staged: &mut Staged<'_>, space: u64) -> Result<()> {
    let count = borrowers(staged, space)?;
    if count > 1 && !staged.now.mistake.is(Planted::LetGoEarly) {
        set_borrowers(staged, space, count - 1);
        return Ok(());
    }
    staged.remove(keys::space_refs(space));
    staged.leave(&PendingWork::Clean { space, prefix: String::new(), keep: Vec::new() });
    Ok(())
}

/// The span around a prefix and the place that the prefix would have in it.
pub fn home_of(route: &Route, prefix: &str) -> Option<(Span, Vec<Layer>)> {
    let around = route.around(prefix)?.clone();
    let there = |layer: &Layer| Layer {
        space: layer.space,
        prefix: format!("{}{}", layer.prefix, &prefix[around.prefix.len()..]),
    };
    let layers = around.layers.iter().map(there).collect();
    Some((around, layers))
}
