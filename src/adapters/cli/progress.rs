//! How far a long job is: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::say;
use super::format;

/// How often a terminal is painted, and how often a line is written where there is none.
const PAINT: Duration = Duration::from_millis(100);

const LINE: Duration = Duration::from_secs(5);

/// Counts bytes and things, and shows them. Shared by all threads of a job.
#[derive(Debug)]
pub struct Progress {
    verb: &'static str,
    begun: Instant,
    bytes: AtomicU64,
    things: AtomicU64,
    /// When it was last shown, in milliseconds since it began.
    shown: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins; `total` is how many bytes there will be, if that is known.
    pub fn begin(verb: &'static str, total: Option<u64>) -> Progress {
        let bar = io::stderr().is_terminal().then(|| match total {
            Some(total) => ProgressBar::new(total).with_style(style("{bar:30} {percent:>3}%  {msg}")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} {msg}")),
        });
        let zero = AtomicU64::default;
        Progress { verb, begun: Instant::now(), bytes: zero(), things: zero(), shown: zero(), bar }
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// So many bytes more.
    pub fn bytes(&self, more: u64) {
        self.bytes.fetch_add(more, Ordering::Relaxed);
        self.show();
    }

    /// One thing more.
    pub fn thing(&self) {
        self.things.fetch_add(1, Ordering::Relaxed);
        self.show();
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self) {
        let took = self.begun.elapsed();
        let now = took.as_millis() as u64;
        let last = self.shown.load(Ordering::Relaxed);
        let pause = if self.bar.is_some() { PAINT } else { LINE };
        let due = now >= last + pause.as_millis() as u64;
        // One thread shows; the others go on.
        if !due || self.shown.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (bytes, things) = (self.bytes.load(Ordering::Relaxed), self.things.load(Ordering::Relaxed));
        let (size, rate) = (format::bytes(bytes), format::rate(bytes, took));
        let message = format!("{} {}, {size}, {rate}", self.verb, format::count(things));
        match &self.bar {
            None => say(&message),
            Some(bar) => {
                bar.set_message(message);
                bar.set_position(bytes);
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A reader that counts what goes through it.
#[derive(Debug)]
pub struct Counted<'a, R>(pub R, pub &'a Progress);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buf)?;
        self.1.bytes(read as u64);
        Ok(read)
    }
}
