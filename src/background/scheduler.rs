//! The maintenance thread: sleeps until the engine rings, does what is due, sleeps again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::work;
use crate::background::lifecycle::run;
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// How long one round of work may take before the thread looks whether it is to stop.
const ROUND: Duration = Duration::from_millis(500);

/// For so long nothing is written before a store counts as one that rests.
const REST: Duration = if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(10) };

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
        if self.engine.check_here().is_err() {
            // A forked process does not have the thread, and must not even say that it will not wait for it.
            std::mem::forget(self.thread.take());
            return;
        }
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
    let mut seen = None;
    while !stopped() {
        engine.wake().wait(wait);
        if stopped() {
            return;
        }
        // With an interval for syncs, the first ring begins it: what is buffered waits no longer than that.
        if let Some(interval) = engine.settings().sync_interval {
            engine.wake().wait(Some(interval));
        }
        let rests = seen.is_some_and(|lsn| lsn == engine.view().lsn);
        let done = work::maintain(engine, ROUND, rests, &stopped);
        seen = Some(engine.view().lsn);
        if done.is_err() {
            // Writers do not rest for work that is not being done.
            engine.set_pace(Duration::ZERO);
        }
        wait = match done {
            Ok(report) if report.more => Some(Duration::ZERO),
            Ok(_) => {
                // The next midnight is when rules are carried out again.
                let midnight = run::next_due(engine).unwrap_or_default();
                // Looked at once more if nothing is written until then, and then no more: an idle store wakes nobody.
                let percent = engine.settings().garbage_percent;
                let spread = !rests && engine.index_wastes(percent).unwrap_or(false);
                if spread { Some(midnight.map_or(REST, |time| time.min(REST))) } else { midnight }
            }
            // A store that failed takes no more writes; there is nothing left to do but to wait for the end.
            Err(error) if error.is_fatal() => None,
            // Damage is met again with the next ring, not before.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            // The failure is met again, and told, by whoever writes; a full disk may be emptied meanwhile.
            Err(_) => Some(AFTER_FAILURE),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Store;
    use crate::model::Durability;
    use crate::ops::object::put::PutOptions;

    #[test]
    fn an_index_that_is_spread_out_is_made_dense_when_nothing_is_written_any_more() {
        let settings = crate::engine::Settings { delta_bytes: 64 << 10, ..Default::default() };
        let vfs = Arc::new(crate::env::MemoryVfs::new());
        let builder = Store::builder("/s").vfs(vfs).settings(settings);
        let store = builder.maintenance(crate::api::Maintenance::Manual).open().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let buffered =
            || PutOptions::new().durability(Durability::Buffered).metadata("note", "m".repeat(600));
        for number in 0..3000u64 {
            let key = format!("{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            bucket.put_with(&key, "", buffered()).unwrap();
        }
        let engine = store.engine();
        engine.checkpoint().unwrap();
        let percent = engine.settings().garbage_percent;
        assert!(engine.index_wastes(percent).unwrap(), "pages lie apart after so many checkpoints");
        let thread = Scheduler::start(engine.clone()).unwrap();
        engine.wake().raise();
        let begun = engine.env().clock.monotonic();
        while engine.index_wastes(percent).unwrap() {
            let waited = engine.env().clock.monotonic() - begun;
            assert!(waited < Duration::from_secs(60), "it is as it was");
            crate::engine::signals::notifier::Wake::default().wait(Some(Duration::from_millis(20)));
        }
        drop(thread);
        assert!(store.verify().unwrap().is_clean());
    }
}
