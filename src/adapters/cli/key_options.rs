//! The key that a store is opened with: options, the environment, a question at the terminal.

use std::env::VarError;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::adapters::cli::args::args::Invocation;
use crate::{ErrorKind, KeyFile, Passphrase, RestoreBackupOptions, SalvageOptions, StoreBuilder};

/// What opens the store.
pub(super) enum Key {
    /// It is not encrypted.
    None,
    /// A key file.
    File(PathBuf),
    /// A passphrase.
    Phrase(Zeroizing<String>),
    /// A passphrase that the environment has and nobody asked for: it opens what does not open without a key.
    Offered(Zeroizing<String>),
}

/// What the command line says; a process has one.
pub(super) static KEY: OnceLock<Key> = OnceLock::new();

/// Whether what is offered was needed.
static NEEDED: AtomicBool = AtomicBool::new(false);

/// Takes the key from the command line, from the environment, or from whoever sits at the terminal.
pub fn choose(invocation: &Invocation) -> Result<(), Failure> {
    let told = variable(PASSPHRASE)?;
    let key = match (&invocation.key_file, told) {
        (Some(path), _) => Key::File(path.clone()),
        (None, Some(phrase)) if invocation.passphrase => Key::Phrase(not_empty(phrase, PASSPHRASE)?),
        (None, None) if invocation.passphrase => Key::Phrase(ask("Passphrase: ", PASSPHRASE)?),
        (None, Some(phrase)) if !phrase.is_empty() => Key::Offered(phrase),
        (None, _) => Key::None,
    };
    let _ = KEY.set(key);
    Ok(())
}

/// The environment variable that may have the passphrase, and the one for a new one.
const PASSPHRASE: &str = "OSSICLE_PASSPHRASE";

pub(super) const NEW_PASSPHRASE: &str = "OSSICLE_NEW_PASSPHRASE";

pub(super) fn variable(name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    match std::env::var(name) {
        Ok(phrase) => Ok(Some(Zeroizing::new(phrase))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Failure::of(format!("{name} is not UTF-8, as a passphrase must be")))
        }
    }
}

pub(super) fn not_empty(phrase: Zeroizing<String>, what: &str) -> Result<Zeroizing<String>, Failure> {
    if phrase.is_empty() {
        return Err(Failure::of(format!("{what} is empty, and an empty passphrase protects nothing")));
    }
    Ok(phrase)
}

/// Whether there is a passphrase that nobody asked for, and nothing needed it so far.
pub fn is_offered() -> bool {
    matches!(KEY.get(), Some(Key::Offered(_))) && !NEEDED.load(Relaxed)
}

/// Asks for a passphrase that was typed once more, where it is about to make a store: with a slip in it, nobody would open
/// that again.
pub fn confirm() -> Result<(), Failure> {
    let Some(Key::Phrase(phrase)) = KEY.get() else { return Ok(()) };
    if variable(PASSPHRASE)?.is_none()
        && ask("The passphrase of the new store again: ", PASSPHRASE)? != *phrase
    {
        return Err(Failure::of("the two are not the same; nothing was made"));
    }
    Ok(())
}

/// Does what opens a store. If that fails for want of a key, and the environment offers a passphrase, once more with it.
pub fn unlocked<T>(
    mut open: impl FnMut() -> Result<crate::Result<T>, Failure>,
) -> Result<crate::Result<T>, Failure> {
    let first = match open()? {
        Err(error) if error.kind() == ErrorKind::Denied && is_offered() => error,
        done => return Ok(done),
    };
    NEEDED.store(true, Relaxed);
    Ok(match open()? {
        // It was another thing that was denied.
        Err(second) if second.kind() == ErrorKind::Invalid => Err(first),
        done => done,
    })
}

macro_rules! give {
    ($($(#[$doc:meta])* $name:ident: $what:ty;)*) => {
        $($(#[$doc])*
        pub fn $name(options: $what) -> Result<$what, Failure> {
            Ok(match KEY.get() {
                None | Some(Key::None) => options,
                Some(Key::Offered(_)) if !NEEDED.load(Relaxed) => options,
                Some(Key::File(path)) => options.key_provider(KeyFile::open(path)?),
                Some(Key::Phrase(phrase) | Key::Offered(phrase)) => {
                    options.key_provider(Passphrase::new(&***phrase))
                }
            })
        })*
    };
}

give! {
    /// The key, for an opening.
    open: StoreBuilder;
    /// The key, for a restore.
    restore: RestoreBackupOptions<'_>;
    /// The key, for a salvage.
    salvage: SalvageOptions<'_>;
}

/// Asks for a secret at the terminal, which does not show it.
pub(super) fn ask(prompt: &str, variable: &str) -> Result<Zeroizing<String>, Failure> {
    let about = |error: std::io::Error| Failure::about("asking for the passphrase at the terminal", &error);
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| {
        Failure::of(format!(
            "there is no terminal to ask for the passphrase at; set {variable}, or use `--key-file`"
        ))
    })?;
    let before = tcgetattr(&terminal).map_err(|error| about(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    write!(terminal, "{prompt}").map_err(about)?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| about(error.into()))?;
    let mut line = Zeroizing::new(String::new());
    let read = BufReader::new(&terminal).read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Flush, &before).map_err(|error| about(error.into()))?;
    read.map_err(about)?;
    not_empty(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_string()), "what was typed")
}
