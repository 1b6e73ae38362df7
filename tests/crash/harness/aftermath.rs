//! After the failure: the store must open, hold an allowed state, be sound, and go on working.

use ossicle::testing::CutPolicy;
use ossicle::{ErrorKind, Store};

use super::Verdict;
use super::model::State;
use super::script::{Body, Op, Step};
use super::world::{World, observe, verify};

/// The bucket that is written into to see whether the store still works.
const PROBE: &str = "probe";

/// Opens the store of `world` and holds it against the allowed states. Returns it with the state it has.
pub fn reopen(world: &World, allowed: &[&State]) -> Verdict<(Store, State)> {
    let store = world.open().map_err(|error| format!("the store does not open: {error}"))?;
    let state = observe(&store)?;
    hold(&state, allowed)?;
    verify(&store)?;
    Ok((store, state))
}

/// Whether a state is one of the allowed ones.
pub fn hold(state: &State, allowed: &[&State]) -> Verdict {
    if allowed.contains(&state) {
        return Ok(());
    }
    let differences: Vec<String> = allowed.iter().rev().take(3).map(|other| state.differs(other)).collect();
    Err(format!(
        "the state is none of the {} allowed ones; from the newest: {}",
        allowed.len(),
        differences.join(" | ")
    ))
}

/// All that must be true after a failure.
pub fn check(world: &World, allowed: &[&State]) -> Verdict {
    let (store, state) = reopen(world, allowed)?;
    go_on(world, store, state)
}

/// Writes more into a recovered store, then loses the power or closes it: what it held must stay.
pub fn go_on(world: &World, store: Store, mut state: State) -> Verdict {
    let told = |op: &Op, error: ossicle::Error| format!("after recovery, {op:?} failed: {error}");
    let number = state.buckets.get(PROBE).map_or(0, |objects| objects.len());
    let mut ops = Vec::new();
    if number == 0 && !state.buckets.contains_key(PROBE) {
        ops.push(Op::CreateBucket(PROBE));
    }
    let put = |name: &str, len| {
        let key = format!("{name}{number}");
        let body = Body { len, seed: number as u64 + 77, note: 0, class: None };
        Op::Do(Step::Put { bucket: PROBE, key, body }, ossicle::Durability::Synced)
    };
    ops.extend([put("a", 500), put("b", 9000)]);
    for op in &ops {
        op.run(&store).map_err(|error| told(op, error))?;
        state = state.after(op).map_err(|kind| format!("the model refuses {op:?}: {kind:?}"))?;
    }
    let dark = world.restart(CutPolicy::DropUnsynced);
    let (_, _) = reopen(&dark, &[&state])
        .map_err(|wrong| format!("after recovery, writes and another cut: {wrong}"))?;
    store.close().map_err(|error| format!("closing after recovery: {error}"))?;
    drop(store);
    let (store, _) =
        reopen(world, &[&state]).map_err(|wrong| format!("after recovery, writes and a close: {wrong}"))?;
    drop(store);
    Ok(())
}

/// A store that refuses writes since a failure: it says so, and reading goes on.
pub fn check_poisoned(store: &Store, newest: &State) -> Verdict {
    for attempt in 0..2 {
        for (what, outcome) in [
            ("put", store.create_bucket("later").map(drop)),
            ("flush", store.flush()),
            ("checkpoint", store.checkpoint()),
            ("transaction", store.write(|tx| tx.put_row("app", b"r7", b"no"))),
        ] {
            match outcome {
                Err(error) if error.kind() == ErrorKind::Closed => {}
                Err(error) => {
                    return Err(format!("{what} after a failure: {:?}, not Closed: {error}", error.kind()));
                }
                Ok(()) => return Err(format!("{what} succeeds after a failure (attempt {attempt})")),
            }
        }
    }
    let seen = observe(store).map_err(|wrong| format!("reading after a failure: {wrong}"))?;
    hold(&seen, &[newest]).map_err(|wrong| format!("what is read after a failure: {wrong}"))
}
