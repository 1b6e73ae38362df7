//! Every script again in a sealed store and in colder classes: cuts, torn writes, failing calls, full disks, cut recoveries.

use crate::harness::climate::Climate;
use crate::harness::script::Script;
use crate::harness::{Tally, Verdict, cuts, effort, errors, full, nested, places, scripts, seed};

/// Tries something with each script in each of its climates, of which one is sealed. Of them every `parts`-th, from `part`
/// on, so that tests share the work.
fn each((part, parts): (usize, usize), trial: impl Fn(&Script, u64) -> Verdict<Tally>) {
    let all = scripts::all().into_iter().enumerate();
    let all =
        all.flat_map(|(number, script)| Climate::of_script(number).map(|climate| (script.clone(), climate)));
    let mut disks = 0;
    for (script, climate) in all.skip(part).step_by(parts) {
        let tried = trial(&climate.script(&script), climate.seed(seed()));
        disks += tried.unwrap_or_else(|wrong| panic!("{climate:?}: {wrong}")).runs;
    }
    println!("part {part}: {disks} disks");
}

/// How many calls of each script are tried: more is not worth its time, for what the weather does to a call hardly depends on
/// the climate.
fn most(sample: u64) -> u64 {
    effort::of(sample, sample * 48)
}

macro_rules! quarters {
    ($($name:ident: $part:expr;)*) => {
        $(#[test]
        fn $name() {
            each(($part, 4), |script, seed| cuts::some_calls(script, seed, most(3), None));
        })*
    };
}

quarters! {
    cuts_in_every_climate_first: 0;
    cuts_in_every_climate_second: 1;
    cuts_in_every_climate_third: 2;
    cuts_in_every_climate_fourth: 3;
}

#[test]
fn failing_changes_in_every_climate() {
    let parts = effort::of(4, 1);
    each((seed() as usize % parts, parts), |script, seed| {
        errors::some_changes(script, seed, effort::of(1, 12), None)
    });
}

#[test]
fn failing_reads_in_every_climate() {
    let parts = effort::of(2, 1);
    each((seed() as usize % parts, parts), |script, seed| {
        errors::some_reads(script, seed, effort::of(1, 12), None)
    });
}

/// By turns: the seed says which.
#[test]
fn full_disks_in_every_climate() {
    let parts = effort::of(36, 12);
    each((seed() as usize % parts, parts), |script, seed| full::every_capacity(script, seed, 24 << 10, None));
}

#[test]
fn cut_recoveries_in_every_climate() {
    let parts = effort::of(32, 3);
    each((seed() as usize % parts, parts), |script, seed| {
        nested::every_recovery(script, seed, effort::of(211, 53), 1, None)
    });
}

/// Short scripts at every call, so that none of them is left out: with bodies of each kind, moves and packed frames.
#[test]
fn short_scripts_at_every_call() {
    for (script, climate) in [
        (scripts::first_steps(), Climate::ALL[0]),
        (scripts::first_steps(), Climate::ALL[7]),
        (scripts::streamed_buffered(), Climate::ALL[4]),
        (scripts::overwrite_and_relocate(), Climate::ALL[0]),
        (scripts::overwrite_and_relocate(), Climate::ALL[3]),
        (scripts::solid(), Climate::ALL[2]),
        (scripts::tiers(), Climate::ALL[4]),
    ] {
        let cut = cuts::some_calls(&climate.script(&script), climate.seed(seed()), places(20), None);
        cut.unwrap_or_else(|wrong| panic!("{climate:?}: {wrong}"));
    }
}
