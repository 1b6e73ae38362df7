//! Ctrl-C: the first asks for an end in good order, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::say;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C only asks; see [`asked`].
pub fn listen() {
    let heard = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say("stopping after what is in flight; Ctrl-C again stops at once");
    });
    if heard.is_err() {
        // Without a handler the signal ends the process at once, which a store survives as well.
        say("Ctrl-C will stop at once, because no handler for it could be set");
    }
}

/// Whether the user asked for an end.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
