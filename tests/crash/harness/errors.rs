//! Failing calls: once, for ever, for writes, for syncs, for reads.

use std::io;

use ossicle::testing::{CutPolicy, Fault, Planted};

use super::run::{Run, Weather, calm, run};
use super::script::Script;
use super::world::{World, observe};
use super::{Tally, Verdict, aftermath, policy_of, spread};

/// What a failing device says.
const EIO: io::ErrorKind = io::ErrorKind::Other;

/// Of the changing calls at most so many, spread over all of them, fail once, and with each from then on every call of its
/// kind; and every write of them ends halfway.
pub fn some_changes(script: &Script, seed: u64, most: u64, mistake: Option<Planted>) -> Verdict<Tally> {
    let (world, _) = calm(script, seed, mistake)?;
    changes(script, seed, spread(world.disk.operations(), most, seed), mistake)
}

/// The same for the changing calls of these numbers.
pub fn changes(
    script: &Script,
    seed: u64,
    calls: impl IntoIterator<Item = u64>,
    mistake: Option<Planted>,
) -> Verdict<Tally> {
    let mut tally = Tally::default();
    for at in calls {
        for fault in [Fault::Error(EIO), Fault::Sticky(EIO), Fault::TornWrite] {
            let failing = World::new(seed, mistake);
            failing.disk.fail_at(at, fault);
            let wrong = |why| format!("script {}, {fault:?} at call {at}, seed {seed}: {why}", script.name);
            if fault == Fault::TornWrite {
                let run = run(&failing, script, Weather::Failing).map_err(wrong)?;
                if failing.disk.hits().is_empty() {
                    continue;
                }
                afterwards(&failing, run, at).map_err(wrong)?;
            } else {
                let run = run(&failing, script, Weather::Failing).map_err(wrong)?;
                afterwards(&failing, run, at).map_err(wrong)?;
            }
            tally.add(&failing.disk);
        }
    }
    Ok(tally)
}

/// At most so many of the reading calls fail once, each by itself.
pub fn some_reads(script: &Script, seed: u64, most: u64, mistake: Option<Planted>) -> Verdict<Tally> {
    let (world, _) = calm(script, seed, mistake)?;
    let mut tally = Tally::default();
    for at in spread(world.disk.reads(), most, seed) {
        let failing = World::new(seed, mistake);
        failing.disk.fail_read_at(at, Fault::Error(EIO));
        let wrong = |why| format!("script {}, read {at} fails, seed {seed}: {why}", script.name);
        let run = run(&failing, script, Weather::Failing).map_err(wrong)?;
        afterwards(&failing, run, at).map_err(wrong)?;
        tally.add(&failing.disk);
    }
    Ok(tally)
}

/// What must hold when the device works again: in the open store, after a restart of the machine, and after
/// opening again on the same machine, whose cache may show what never reached the disk.
pub fn afterwards(world: &World, mut run: Run, number: u64) -> Verdict {
    world.disk.clear_faults();
    let store = run.store.take();
    if let Some(store) = &store {
        if run.poisoned {
            aftermath::check_poisoned(store, run.newest())?;
        } else if run.stopped.is_none() {
            let seen = observe(store)?;
            aftermath::hold(&seen, &[run.newest()])?;
        }
    }
    for policy in [CutPolicy::DropUnsynced, policy_of(number)] {
        let after = world.restart(policy);
        aftermath::check(&after, &run.allowed())
            .map_err(|why| format!("after a restart with {policy:?}: {why}"))?;
    }
    let was_made = store.is_some() || run.history.len() > 1;
    drop(store);
    if !was_made {
        return Ok(());
    }
    aftermath::check(world, &run.allowed()).map_err(|why| format!("opened again on the same machine: {why}"))
}
