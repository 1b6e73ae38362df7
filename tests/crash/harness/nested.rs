//! Power cuts during the recovery from a power cut.

use ossicle::testing::{CutPolicy, Fault, Planted};

use super::model::State;
use super::run::{Weather, calm, run};
use super::script::Script;
use super::world::{World, observe};
use super::{Tally, Verdict, aftermath, policy_of, spread};

/// Cuts at one of every `stride` calls of the script, and then at every call of each recovery, `depth` levels deep.
pub fn every_recovery(
    script: &Script,
    seed: u64,
    stride: u64,
    depth: u32,
    mistake: Option<Planted>,
) -> Verdict<Tally> {
    let (world, _) = calm(script, seed, mistake)?;
    let mut tally = Tally::default();
    let calls = world.disk.operations() + 1;
    for at in spread(calls, calls.div_ceil(stride), seed) {
        let first = World::new(seed, mistake);
        first.disk.fail_at(at, Fault::PowerCut);
        let wrong =
            |why: String| format!("script {}, power cut at call {at}, seed {seed}, {why}", script.name);
        let run = run(&first, script, Weather::Cut).map_err(wrong)?;
        for policy in [CutPolicy::DropUnsynced, policy_of(at + seed)] {
            let after = first.restart(policy);
            let deeper = recoveries(&after, &run.allowed(), at + seed, depth);
            tally.join(deeper.map_err(|why| wrong(format!("policy {policy:?}, {why}")))?);
        }
    }
    Ok(tally)
}

/// Cuts the power at every call of opening and closing what lies on `world`.
fn recoveries(world: &World, allowed: &[&State], seed: u64, depth: u32) -> Verdict<Tally> {
    let mut tally = Tally::default();
    let calls = {
        let copy = world.restart(CutPolicy::KeepAll);
        let store = copy.open().map_err(|error| format!("the store does not open: {error}"))?;
        store.close().map_err(|error| format!("the store does not close: {error}"))?;
        copy.disk.operations()
    };
    for at in 0..calls {
        let again = world.restart(CutPolicy::KeepAll);
        again.disk.fail_at(at, Fault::PowerCut);
        let wrong = |why: String| format!("then at call {at} of the recovery: {why}");
        let seen = match again.open() {
            Err(_) => None,
            Ok(store) => {
                let seen = observe(&store).ok();
                let _ = store.close();
                seen
            }
        };
        // What a recovered store has shown is durable.
        let floor = seen.as_ref().map(|state| vec![state]);
        if let Some(state) = &seen {
            aftermath::hold(state, allowed).map_err(wrong)?;
        }
        let allowed = floor.as_deref().unwrap_or(allowed);
        for policy in [CutPolicy::DropUnsynced, policy_of(seed + at)] {
            let after = again.restart(policy);
            let checked = if depth > 1 {
                recoveries(&after, allowed, seed * 3 + at, depth - 1).map(|deep| tally.join(deep))
            } else {
                Ok(())
            };
            checked
                .and_then(|()| aftermath::check(&after, allowed))
                .map_err(|why| wrong(format!("policy {policy:?}, {why}")))?;
            tally.add(&again.disk);
        }
    }
    Ok(tally)
}
