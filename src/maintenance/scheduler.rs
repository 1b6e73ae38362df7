//! The maintenance thread: sleeps until the engine rings, does what is due, sleeps again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::work;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::lifecycle;

/// How long one round of work may take before the thread looks whether it is to stop.
const ROUND: Duration = Duration::from_millis(500);
/// How long the thread waits after a failure before it tries again.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The thread. Dropping it stops it after the step it is in.
#[derive(Debug)]
pub struct Scheduler {
    engine: Arc<Engine>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scheduler {
    /// Starts the thread.
    pub fn start(engine: Arc<Engine>) -> Result<Scheduler> {
        let stop = Arc::new(AtomicBool::new(false));
        engine.wake().set_listener(true);
        let (own, halt) = (engine.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("ossicle".into())
            .spawn(move || run(&own, &halt))
            .map_err(|error| Error::io("starting the maintenance thread", error))?;
        Ok(Scheduler { engine, stop, thread: Some(thread) })
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.engine.wake().set_listener(false);
        self.engine.set_pace(Duration::ZERO);
        self.engine.wake().raise();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn run(engine: &Arc<Engine>, stop: &AtomicBool) {
    let stopped = || stop.load(Ordering::Acquire);
    let mut wait = None;
    while !stopped() {
        engine.wake().wait(wait);
        if stopped() {
            return;
        }
        // With an interval for syncs, the first ring begins it: what is buffered waits no longer than that.
        if let Some(interval) = engine.settings().sync_interval {
            engine.wake().wait(Some(interval));
        }
        let done = work::maintain(engine, ROUND, &stopped);
        if done.is_err() {
            // Writers do not rest for work that is not being done.
            engine.set_pace(Duration::ZERO);
        }
        wait = match done {
            Ok(report) if report.more => Some(Duration::ZERO),
            // The next midnight is when rules are carried out again.
            Ok(_) => lifecycle::next_due(engine).unwrap_or_default(),
            // A store that failed takes no more writes; there is nothing left to do but to wait for the end.
            Err(error) if error.is_fatal() => None,
            // Damage is met again with the next ring, not before.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            // The failure is met again, and told, by whoever writes; a full disk may be emptied meanwhile.
            Err(_) => Some(AFTER_FAILURE),
        };
    }
}
