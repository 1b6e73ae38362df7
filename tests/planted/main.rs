//! Every planted mistake must be caught by the harness that found none without it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test measures its time and prints what it has found"
)]

#[path = "../crash/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the crash tests use all of it")]
mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use harness::aftermath::hold;
use harness::climate::Climate;
use harness::damage::{copy, files, offsets, survey};
use harness::run::calm;
use harness::script::Script;
use harness::world::{SEALED, World, observe, verify};
use harness::{Verdict, apart, canary, cuts, enemy, errors, full, nested, race, rules, scripts};
use ossicle::testing::Planted;
use ossicle::{CompactOptions, ErrorKind, PutOptions, RestoreOptions, StorageClass};

/// How long the hunt for one mistake may take.
const TIME: Duration = Duration::from_secs(60);

/// A way of looking for mistakes; it stops at the first it finds.
type Hunt = fn(&Script, u64, Option<Planted>) -> Verdict<()>;

fn cut(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    cuts::some_calls(script, seed, u64::MAX, mistake).map(drop)
}

fn fail(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    errors::some_changes(script, seed, u64::MAX, mistake).map(drop)
}

/// No fault but the mistake: what the script leads to, what it adds up to, and what maintenance makes of it.
fn play(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    let (world, run) = calm(script, seed, mistake)?;
    let Some(store) = &run.store else { return Ok(()) };
    verify(store)?;
    store
        .compact(CompactOptions::new().garbage_percent(0))
        .map_err(|error| format!("compaction: {error}"))?;
    hold(&observe(store)?, &[run.newest()])?;
    run.check_past(&world, store)?;
    verify(store)
}

fn tear(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    cuts::some_calls_torn(script, seed, u64::MAX, mistake).map(drop)
}

fn fill(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    full::puts_leave_the_reserve(seed, mistake)
}

fn race(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    race::relocation_beside_a_writer(seed, 200, mistake)
}

fn look(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    calm(&scripts::readers(), seed, mistake).map(drop)
}

fn nest(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    nested::every_recovery(script, seed, 5, 1, mistake).map(drop)
}

fn damage(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    let (world, run) = calm(script, seed, mistake)?;
    // Not closed: the log behind the last checkpoint has to be replayed.
    let mut states = run.history.clone();
    states.reverse();
    // Nothing behind the last synced write says that it is durable, nor what was buffered before it.
    states.truncate(4);
    for (path, bytes) in files(&world) {
        for at in offsets(&bytes, 41, seed as usize) {
            let damaged = copy(&world);
            damaged.disk.flip(&path, at as u64, 1 << (at % 8));
            survey(&damaged, &states).map_err(|wrong| format!("byte {at} of {}: {wrong}", path.display()))?;
        }
    }
    Ok(())
}

/// In a colder class.
fn cool(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    let climate = Climate { sealed: false, class: StorageClass::InfrequentAccess, apart: false };
    cuts::some_calls(&climate.script(script), climate.seed(seed), 40, mistake).map(drop)
}

/// With the tiers of colder classes in a directory of their own, of which the next opening is told nothing.
fn part(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    apart::remembered(seed, mistake)
}

/// Packed together.
fn freeze(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    if !["tiers", "solid", "classes"].contains(&script.name) {
        return Ok(());
    }
    let climate = Climate { sealed: false, class: StorageClass::Archive, apart: false };
    play(script, seed, mistake)?;
    play(&climate.script(script), climate.seed(seed), mistake)
}

/// What is restored is so for as long as was asked.
fn thaw(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    let told = |error: ossicle::Error| error.to_string();
    let world = World::new(seed, mistake);
    let store = world.open().map_err(told)?;
    let bucket = store.create_bucket("one").map_err(told)?;
    bucket.put_with("k", b"body", PutOptions::new().storage_class(StorageClass::Archive)).map_err(told)?;
    bucket.restore("k", RestoreOptions::new().days(1)).map_err(told)?;
    bucket.get("k").map_err(told)?;
    world.wait(Duration::from_secs(86_400 + 1));
    match bucket.get("k") {
        Err(error) if error.kind() == ErrorKind::Archived => Ok(()),
        other => Err(format!("a day later: {:?}", other.map(drop))),
    }
}

fn rule(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    rules::whole(&World::new(seed, mistake))
}

/// Nothing is told by the files of an encrypted store.
fn sing(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    let (world, run) = calm(script, seed | SEALED, mistake)?;
    let known: Vec<_> = run.history.iter().collect();
    match canary::tells(&world, &canary::secrets(&known)) {
        Some(told) => Err(told),
        None => Ok(()),
    }
}

fn forge(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    enemy::superblocks_are_forged(seed, mistake)
}

fn exchange(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    enemy::bodies_change_places(seed, mistake)
}

fn replay(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    enemy::older_pages_come_back(seed, mistake)?;
    enemy::older_pages_come_back(seed | SEALED, mistake)
}

fn rotate(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    enemy::no_slot_is_left(seed, mistake)
}

fn swell(_: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<()> {
    enemy::chunks_lie_about_their_length(seed, mistake)
}

/// Hunts for a mistake with every script, the likely ways first. Says which run caught it, and how.
fn hunt(mistake: Planted, likely: &[Hunt]) -> Option<(u64, String)> {
    let began = Instant::now();
    let mut runs = 0;
    for seed in 1.. {
        for hunt in likely {
            for script in scripts::all() {
                runs += 1;
                let found = catch_unwind(AssertUnwindSafe(|| hunt(&script, seed, Some(mistake))));
                match found {
                    Ok(Ok(())) => {}
                    Ok(Err(wrong)) => return Some((runs, wrong)),
                    Err(_) => return Some((runs, format!("script {}: a panic", script.name))),
                }
                if began.elapsed() > TIME {
                    return None;
                }
            }
        }
    }
    None
}

/// Where each mistake is likely to show.
fn likely(mistake: Planted) -> &'static [Hunt] {
    match mistake {
        Planted::SwallowSyncError | Planted::NoPoison => &[fail],
        Planted::NoRecordSum | Planted::NoBodySum | Planted::NoDurableMark => &[damage, cut],
        Planted::SkipBadRecord => &[tear],
        Planted::ReserveForAll => &[fill],
        Planted::RelocateStale => &[race],
        Planted::ForgetReaders | Planted::MeetNoReaders | Planted::TellTooEarly => &[look],
        Planted::ShareUncounted
        | Planted::ShareCountedTwice
        | Planted::NoForward
        | Planted::NoShadow
        | Planted::CleanAll
        | Planted::NoPast
        | Planted::NoPromotion
        | Planted::NullStays
        | Planted::LetGoEarly
        | Planted::TrimAll => &[play],
        Planted::SkipTierSync => &[cool],
        Planted::SkipPlaceSync => &[part],
        Planted::SolidOffByOne | Planted::FrameGoesEarly | Planted::CopyFrozen | Planted::RestoredStays => {
            &[freeze]
        }
        Planted::RestoreForever => &[thaw],
        Planted::RunEndsEarly | Planted::ExpireHeld => &[rule],
        Planted::NonceRepeats | Planted::PlainBodies => &[sing],
        Planted::BodyUnbound => &[exchange],
        Planted::PageUnbound => &[replay],
        Planted::SlotLeft => &[rotate],
        Planted::SuperblockUnsigned => &[forge],
        _ => &[cut, nest, fail],
    }
}

macro_rules! caught {
    ($($name:ident: $mistake:ident)*) => {
        $(#[test]
        fn $name() {
            let mistake = Planted::$mistake;
            let began = Instant::now();
            match hunt(mistake, likely(mistake)) {
                Some((runs, wrong)) => println!("{mistake:?}, run {runs}, {:?}: {:.150}", began.elapsed(), wrong),
                None => panic!("{mistake:?} was not caught in {TIME:?}"),
            }
        })*

        /// The hunts themselves find nothing where there is nothing.
        #[test]
        fn without_a_mistake_nothing_is_found() {
            for script in scripts::all() {
                play(&script, 1, None).unwrap();
            }
            for script in [scripts::first_steps(), scripts::buffered_then_synced(), scripts::transactions(), scripts::readers()] {
                for hunt in [cut, fail, fill, nest, damage, tear, race, cool, part, freeze, sing] as [Hunt; 11] {
                    hunt(&script, 1, None).unwrap();
                }
            }
            for script in [scripts::tiers(), scripts::solid(), scripts::classes()] {
                freeze(&script, 1, None).unwrap();
            }
            for hunt in [thaw, rule, forge, exchange, replay, rotate, swell] as [Hunt; 7] {
                hunt(&scripts::first_steps(), 1, None).unwrap();
            }
        }

        /// Nothing is left out of the list above.
        #[test]
        fn every_mistake_is_hunted() {
            assert_eq!(&[$(Planted::$mistake),*], Planted::ALL);
        }
    };
}

caught! {
    ack_before_write: AckBeforeWrite
    skip_log_sync: SkipLogSync
    skip_bulk_sync: SkipBulkSync
    swallow_sync_error: SwallowSyncError
    no_poison: NoPoison
    skip_dir_sync: SkipDirSync
    skip_index_sync: SkipIndexSync
    skip_superblock_sync: SkipSuperblockSync
    checkpoint_before_log: CheckpointBeforeLog
    one_slot: OneSlot
    replay_too_late: ReplayTooLate
    no_record_sum: NoRecordSum
    no_body_sum: NoBodySum
    skip_bad_record: SkipBadRecord
    no_durable_mark: NoDurableMark
    skip_recovery_sync: SkipRecoverySync
    skip_body_check: SkipBodyCheck
    remove_before_checkpoint: RemoveBeforeCheckpoint
    relocate_stale: RelocateStale
    drop_tombstones: DropTombstones
    reserve_for_all: ReserveForAll
    forget_readers: ForgetReaders
    meet_no_readers: MeetNoReaders
    tell_too_early: TellTooEarly
    forget_cursors: ForgetCursors
    tell_unsynced: TellUnsynced
    share_uncounted: ShareUncounted
    share_counted_twice: ShareCountedTwice
    no_forward: NoForward
    no_shadow: NoShadow
    clean_all: CleanAll
    no_past: NoPast
    no_promotion: NoPromotion
    null_stays: NullStays
    let_go_early: LetGoEarly
    trim_all: TrimAll
    skip_tier_sync: SkipTierSync
    skip_place_sync: SkipPlaceSync
    solid_off_by_one: SolidOffByOne
    frame_goes_early: FrameGoesEarly
    copy_frozen: CopyFrozen
    restored_stays: RestoredStays
    restore_forever: RestoreForever
    run_ends_early: RunEndsEarly
    expire_held: ExpireHeld
    nonce_repeats: NonceRepeats
    body_unbound: BodyUnbound
    page_unbound: PageUnbound
    plain_bodies: PlainBodies
    slot_left: SlotLeft
    superblock_unsigned: SuperblockUnsigned
}
