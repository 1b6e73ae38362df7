//! Power cuts: at every changing call of a script, under several ways for the disk to lose what was not synced.

use ossicle::CompactOptions;
use ossicle::testing::{CutPolicy, Fault, Planted};

use super::run::{Run, Weather, calm, run};
use super::script::Script;
use super::world::{World, verify};
use super::{Dice, Tally, Verdict, aftermath, policy_of, spread};

/// Cuts the power at call `at` and checks what comes back under each policy.
pub fn cut(
    script: &Script,
    at: u64,
    policies: &[CutPolicy],
    seed: u64,
    mistake: Option<Planted>,
) -> Verdict<Tally> {
    let mut tally = Tally::default();
    let world = World::new(seed, mistake);
    world.disk.fail_at(at, Fault::PowerCut);
    let wrong = |wrong: String, policy: &dyn std::fmt::Debug| {
        format!("script {}, power cut at call {at}, policy {policy:?}, seed {seed}: {wrong}", script.name)
    };
    let run = run(&world, script, Weather::Cut).map_err(|why| wrong(why, &"none"))?;
    tally.add(&world.disk);
    for policy in policies {
        let after = world.restart(*policy);
        aftermath::check(&after, &run.allowed())
            .map_err(|why| wrong(format!("{why} [the script: {:?}]", run.stopped), policy))?;
        tally.add(&after.disk);
        if !run.past.is_empty() {
            past(&world.restart(*policy), &run).map_err(|why| wrong(why, policy))?;
        }
    }
    let killed = world.after_kill();
    aftermath::check(&killed, &run.killed())
        .map_err(|why| wrong(format!("{why} [the script: {:?}]", run.stopped), &"a kill instead"))?;
    tally.add(&killed.disk);
    Ok(tally)
}

/// What is retained of the past is there after a failure, and after all that can be had was given back.
fn past(world: &World, run: &Run) -> Verdict {
    let told = |error: ossicle::Error| format!("looking at the past after a failure: {error}");
    let store = world.open().map_err(told)?;
    run.check_past(world, &store)?;
    store.compact(CompactOptions::new().garbage_percent(0)).map_err(told)?;
    run.check_past(world, &store)?;
    verify(&store)
}

/// At most so many calls, spread over all of them, with the policy that loses most and one that a number decides.
pub fn some_calls(script: &Script, seed: u64, most: u64, mistake: Option<Planted>) -> Verdict<Tally> {
    let (world, _) = calm(script, seed, mistake)?;
    let mut tally = Tally::default();
    tally.add(&world.disk);
    for at in spread(world.disk.operations() + 1, most, seed) {
        let policies = [CutPolicy::DropUnsynced, policy_of(seed + at)];
        tally.join(cut(script, at, &policies, seed, mistake)?);
    }
    Ok(tally)
}

/// At most so many calls, with writes of which some sectors are lost.
pub fn some_calls_torn(script: &Script, seed: u64, most: u64, mistake: Option<Planted>) -> Verdict<Tally> {
    let (world, _) = calm(script, seed, mistake)?;
    let mut tally = Tally::default();
    for at in spread(world.disk.operations() + 1, most, seed) {
        let policies = [0, 1, 2].map(|more| CutPolicy::Torn(seed * 1000 + at * 3 + more));
        tally.join(cut(script, at, &policies, seed, mistake)?);
    }
    Ok(tally)
}

/// Any call with any policy: `number` decides.
pub fn any_call(script: &Script, number: u64, mistake: Option<Planted>) -> Verdict<Tally> {
    let mut dice = Dice::new(number);
    let (world, _) = calm(script, number, mistake)?;
    let at = dice.below(world.disk.operations() + 1);
    cut(script, at, &[policy_of(dice.below(4000)), policy_of(dice.below(4000))], number, mistake)
}
