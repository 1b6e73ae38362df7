//! Runs a script on a world, beside the model, until it ends or the disk does.

use std::time::SystemTime;

use ossicle::testing::Planted;
use ossicle::{Error, ErrorKind, Lsn, Store};

use super::Verdict;
use super::model::State;
use super::readers::Readers;
use super::script::{Op, Script};
use super::world::{World, observe, shows};

/// How far a script came, and what its store may hold from now on.
#[derive(Debug)]
pub struct Run {
    /// The state after each operation that succeeded, from the empty one on.
    pub history: Vec<State>,
    /// The first of them that a crash may lead back to.
    pub floor: usize,
    /// What an operation of unknown outcome would have led to.
    pub in_flight: Option<State>,
    /// Readers beside it.
    pub readers: Readers,
    /// The open store, unless it could not be opened.
    pub store: Option<Store>,
    /// Why the script ended early.
    pub stopped: Option<String>,
    /// Whether the store refuses writes since a failure.
    pub poisoned: bool,
    /// How many operations failed without ending the run.
    pub refused: u64,
    /// Moments of the retained past: the commit, the time, the place in `history`.
    pub past: Vec<(Lsn, SystemTime, usize)>,
}

impl Run {
    /// The states that a crash now may leave.
    pub fn allowed(&self) -> Vec<&State> {
        self.history[self.floor..].iter().chain(&self.in_flight).collect()
    }

    /// The states that a kill of the process now may leave: everything acknowledged is there.
    pub fn killed(&self) -> Vec<&State> {
        self.history.last().into_iter().chain(&self.in_flight).collect()
    }

    /// The newest state.
    pub fn newest(&self) -> &State {
        self.history.last().expect("the empty state at least")
    }

    /// Notes where the store stands, to look back at it later.
    fn remember(&mut self, world: &World) {
        let lsn = self.store.as_ref().and_then(|store| store.snapshot().ok()).map(|snapshot| snapshot.lsn());
        if let Some(lsn) = lsn {
            self.past.push((lsn, world.now(), self.history.len() - 1));
        }
    }

    /// Whether the store still shows the moments of the past that must be retained, and those that need not be, rightly
    /// or not at all.
    pub fn check_past(&self, world: &World, store: &Store) -> Verdict {
        let told = |error: Error| format!("looking at the past failed: {error}");
        let newest = store.snapshot().map_err(told)?.lsn();
        let since = world.now() - world.retained().unwrap_or_default();
        for (lsn, at, place) in self.past.iter().filter(|(lsn, ..)| *lsn <= newest) {
            match store.as_of(*lsn) {
                Ok(snapshot) => shows(&snapshot, &self.history[*place])
                    .map_err(|wrong| format!("as of commit {lsn}: {wrong}"))?,
                Err(error) if error.kind() == ErrorKind::NotFound && *at < since => {}
                Err(error) => return Err(told(error)),
            }
        }
        Ok(())
    }

    fn stop(&mut self, why: impl ToString) {
        self.stopped = Some(why.to_string());
    }
}

/// What may go wrong while a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Calm,
    /// The power goes, once.
    Cut,
    /// Calls to the disk fail.
    Failing,
    /// The disk is full now and then.
    Full,
}

/// Runs `script`. Only with [`Weather::Cut`] may the disk go dark.
pub fn run(world: &World, script: &Script, weather: Weather) -> Verdict<Run> {
    let mut run = Run {
        history: vec![State::default()],
        floor: 0,
        in_flight: None,
        readers: Readers::default(),
        store: None,
        stopped: None,
        poisoned: false,
        refused: 0,
        past: Vec::new(),
    };
    let mut rebuild = false;
    for (number, op) in script.ops.iter().enumerate() {
        let described = || format!("operation {number}, {}", short(op));
        if run.store.is_none() {
            // A store whose making failed may have a name that no later sync makes durable.
            let attempts = if weather == Weather::Cut || number == 0 { 1 } else { 2 };
            match open(world, weather, rebuild, number, attempts) {
                Ok(store) => run.store = Some(store),
                Err(Ok(error)) => {
                    run.stop(format!("opening: {error}"));
                    return Ok(run);
                }
                Err(Err(wrong)) => return Err(wrong),
            }
        }
        rebuild = false;
        let store = run.store.clone().expect("opened above");
        let expected = run.newest().after(op);
        let outcome = op.run(&store);
        drop(store);
        if matches!(op, Op::Look) {
            let mut readers = std::mem::take(&mut run.readers);
            match readers.look(world, &run) {
                Ok(()) => run.readers = readers,
                // What has failed for them may work for the next ones.
                Err(Ok(error)) => check_reader(&error, weather)?,
                Err(Err(wrong)) => return Err(format!("{}: {wrong}", described())),
            }
        }
        if let Op::Wait(time) = op {
            world.wait(*time);
        }
        let closing = matches!(op, Op::Reopen | Op::Rebuild | Op::Retain(_));
        if closing {
            run.store = None;
            rebuild = matches!(op, Op::Rebuild);
            if let Op::Retain(time) = op {
                world.retain(*time);
                run.past.clear();
            }
        }
        match (expected, outcome) {
            (Ok(next), Ok(())) => {
                run.history.push(next);
                if op.is_synced() {
                    run.floor = run.history.len() - 1;
                }
                if world.retained().is_some_and(|time| !time.is_zero()) {
                    run.remember(world);
                }
            }
            (Err(_), Ok(())) => return Err(format!("{} succeeded and should not have", described())),
            (Err(kind), Err(error)) if error.kind() == kind => {}
            // Where an operation before was refused, the commit that a cursor is to stand behind may not be there.
            (Ok(_), Err(error))
                if run.refused > 0
                    && op.sets_cursor()
                    && ["InvalidArgument", "FeedTruncated"].contains(&error.code()) =>
            {
                run.refused += 1;
            }
            (expected, Err(error)) => {
                check_kind(&error, weather).map_err(|wrong| format!("{}: {wrong}", described()))?;
                if weather == Weather::Cut || error.is_fatal() {
                    run.in_flight = expected.ok();
                    run.poisoned = weather != Weather::Cut && !closing;
                    run.stop(format!("{}: {error}", described()));
                    return Ok(run);
                }
                run.refused += 1;
            }
        }
    }
    // What the last operation leaves to chance may be what the power was cut at.
    let dark = world.disk.hits().iter().any(|hit| hit.fault == "power-cut");
    if let Some(store) = run.store.as_ref().filter(|_| !dark) {
        let seen = observe(store)
            .or_else(|wrong| if weather == Weather::Calm { Err(wrong) } else { observe(store) })?;
        if seen != *run.newest() {
            return Err(format!(
                "at the end of the script the store differs: {}",
                seen.differs(run.newest())
            ));
        }
        if weather == Weather::Calm {
            run.check_past(world, store)?;
        }
    }
    Ok(run)
}

/// Opens the store; a disk that fails once may be asked again. The inner `Ok` is an error that the weather explains.
fn open(
    world: &World,
    weather: Weather,
    rebuild: bool,
    number: usize,
    attempts: u32,
) -> Result<Store, Verdict<Error>> {
    let mut last = None;
    for _ in 0..attempts {
        match world.open_as(rebuild) {
            Ok(store) => return Ok(store),
            Err(error) => {
                if let Err(wrong) = check_kind(&error, weather) {
                    return Err(Err(format!("opening before operation {number}: {wrong}")));
                }
                last = Some(error);
            }
        }
    }
    Err(Ok(last.expect("it failed")))
}

/// Whether this kind of error may come in this weather.
fn check_kind(error: &Error, weather: Weather) -> Verdict {
    let fits = match weather {
        Weather::Calm => false,
        Weather::Cut => matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed),
        Weather::Failing => matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed),
        Weather::Full => error.kind() == ErrorKind::Quota && !error.is_fatal(),
    };
    if fits { Ok(()) } else { Err(format!("{:?} is not an error of this weather: {error}", error.kind())) }
}

/// Whether a reader may meet this kind of error in this weather: on a full disk, no room to register or for the note too.
fn check_reader(error: &Error, weather: Weather) -> Verdict {
    match (weather, error.kind()) {
        (Weather::Full, ErrorKind::Busy) | (Weather::Failing, ErrorKind::Busy) => Ok(()),
        _ => check_kind(error, weather).map_err(|wrong| format!("a reader: {wrong}")),
    }
}

/// An operation in one line.
pub fn short(op: &Op) -> String {
    let mut text = format!("{op:?}");
    if text.len() > 120 {
        text.truncate(text.floor_char_boundary(120));
        text.push('…');
    }
    text
}

/// How many changing and reading calls a script makes on a sound disk, and the run itself.
pub fn calm(script: &Script, seed: u64, mistake: Option<Planted>) -> Verdict<(World, Run)> {
    let world = World::new(seed, mistake);
    let run = run(&world, script, Weather::Calm)?;
    Ok((world, run))
}
