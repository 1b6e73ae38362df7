//! The same seed does the same calls with the same bytes.

use ossicle::testing::Fault;

use crate::harness::run::{Weather, calm, run};
use crate::harness::world::World;
use crate::harness::{effort, scripts, seed};

#[test]
fn equal_seeds_leave_equal_traces() {
    for script in scripts::all() {
        for seed in seed()..seed() + effort::of(1, 3) {
            let (first, _) = calm(&script, seed, None).unwrap();
            let (second, _) = calm(&script, seed, None).unwrap();
            assert_eq!(
                first.disk.trace_hash(),
                second.disk.trace_hash(),
                "script {}, seed {seed}",
                script.name
            );
            let at = first.disk.operations() / 2;
            let cut = || {
                let world = World::new(seed, None);
                world.disk.fail_at(at, Fault::PowerCut);
                run(&world, &script, Weather::Cut).unwrap();
                let after = world.restart(ossicle::testing::CutPolicy::Torn(seed));
                after.open().unwrap().close().unwrap();
                (world.disk.trace_hash(), after.disk.trace_hash())
            };
            assert_eq!(cut(), cut(), "script {}, seed {seed}, cut at {at}", script.name);
        }
    }
}
