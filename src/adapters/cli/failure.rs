//! How a command fails: what is said, and with which exit code.

use std::error::Error as _;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use super::wording::translated;
use crate::Error;

/// Why a command did not do all that it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// It did not work; a sentence.
    Sentence(String),
    /// It did not work in part, and all of it was told already.
    Told,
    /// The user stopped it.
    Stopped,
    /// Whoever read the output has read enough.
    ClosedPipe,
}

impl Failure {
    /// A sentence.
    pub fn of(sentence: impl Into<String>) -> Failure {
        Failure::Sentence(sentence.into())
    }

    /// A failed call to the operating system about something of the user's.
    pub fn about(what: impl std::fmt::Display, error: &io::Error) -> Failure {
        Failure::Sentence(format!("{what}: {}", reason(error)))
    }

    /// Says it, and answers with the exit code.
    pub fn tell(self) -> ExitCode {
        match self {
            Failure::Usage(text) => {
                say(&text);
                ExitCode::from(2)
            }
            Failure::Sentence(text) => {
                say(&text);
                ExitCode::FAILURE
            }
            Failure::Told => ExitCode::FAILURE,
            Failure::Stopped => ExitCode::from(130),
            Failure::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

/// A line on standard error, in the tool's words. If that is closed too, there is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "ossicle: {}", translated(text));
}

/// What the operating system said, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let bare = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = bare.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match cause {
            Some(cause) if cause.kind() == ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Sentence(error.to_string()),
        }
    }
}

/// For standard output; failures about files say which one, see [`Failure::about`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::about("standard output", &error),
        }
    }
}
