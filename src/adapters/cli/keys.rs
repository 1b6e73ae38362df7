//! The key of an encrypted store: where it comes from, and `ossicle key`.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::args::{Invocation, KeyCommand, RotateArgs, ShredArgs};
use super::failure::Failure;
use super::{opening, words};
use crate::{KeyFile, Passphrase, RestoreBackupOptions, SalvageOptions, Store, StoreBuilder};

/// What opens the store.
enum Key {
    /// It is not encrypted.
    None,
    /// A key file.
    File(PathBuf),
    /// A passphrase.
    Phrase(Zeroizing<String>),
}

/// What the command line says; a process has one.
static KEY: OnceLock<Key> = OnceLock::new();

/// Takes the key from the command line, from the environment, or from whoever sits at the terminal.
pub fn choose(invocation: &Invocation) -> Result<(), Failure> {
    let told = std::env::var("OSSICLE_PASSPHRASE").ok();
    let key = match (&invocation.key_file, told) {
        _ if invocation.passphrase => Key::Phrase(ask("Passphrase: ")?),
        (Some(path), _) => Key::File(path.clone()),
        (None, Some(phrase)) => Key::Phrase(Zeroizing::new(phrase)),
        (None, None) => Key::None,
    };
    let _ = KEY.set(key);
    Ok(())
}

macro_rules! give {
    ($($(#[$doc:meta])* $name:ident: $what:ty;)*) => {
        $($(#[$doc])*
        pub fn $name(options: $what) -> Result<$what, Failure> {
            Ok(match KEY.get() {
                None | Some(Key::None) => options,
                Some(Key::File(path)) => options.key_provider(KeyFile::open(path)?),
                Some(Key::Phrase(phrase)) => options.key_provider(Passphrase::new(&***phrase)),
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
fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let about = |error: std::io::Error| Failure::about("asking for the passphrase at the terminal", &error);
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(about)?;
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
    let phrase = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_string());
    if phrase.is_empty() {
        return Err(Failure::of("an empty passphrase opens nothing"));
    }
    Ok(phrase)
}

/// `key`
pub fn command(store: Option<&Path>, command: &KeyCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        KeyCommand::Show => {
            let store = opening::to_read(store)?;
            writeln!(out, "{}", named(&store))?;
            store.close().map_err(Failure::from)
        }
        KeyCommand::Rotate(args) => {
            let store = opening::to_write(store)?;
            let before = named(&store);
            rotate(&store, args)?;
            writeln!(out, "{before} opens the store no more; {} does", named(&store))?;
            store.close().map_err(Failure::from)
        }
        KeyCommand::Rewrap => {
            let store = opening::to_write(store)?;
            match KEY.get() {
                Some(Key::File(path)) => store.rotate_key(KeyFile::open(path)?)?,
                Some(Key::Phrase(phrase)) => store.rotate_key(Passphrase::new(&***phrase))?,
                // It was opened without a key.
                None | Some(Key::None) => return Err(Failure::of("the store is not encrypted")),
            }
            writeln!(out, "wrapped anew with {}", named(&store))?;
            store.close().map_err(Failure::from)
        }
        KeyCommand::Shred(args) => shred(store, args, out),
        KeyCommand::Reencrypt => {
            let store = opening::to_write(store)?;
            let done = store.reencrypt()?;
            writeln!(out, "encrypted anew: {}", words::counted(done.segments, "segment"))?;
            store.close().map_err(Failure::from)
        }
    }
}

fn shred(store: Option<&Path>, args: &ShredArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if !args.yes {
        return Err(Failure::Usage(
            "what is shredded is gone for ever; say --yes if that is what you want".to_string(),
        ));
    }
    let store = opening::to_write(store)?;
    let bucket = store.bucket(&args.bucket)?;
    let done = match (&args.key, &args.prefix) {
        (Some(key), _) => bucket.shred(key)?,
        (None, Some(prefix)) => bucket.shred_prefix(prefix)?,
        (None, None) => store.shred_bucket(&args.bucket)?,
    };
    let (objects, bytes) = (words::counted(done.objects, "object"), words::bytes(done.bytes));
    writeln!(out, "shredded {objects}, {bytes}; {} removed", words::counted(done.segments, "segment"))?;
    if done.shared_objects > 0 {
        let shared = words::counted(done.shared_objects, "object");
        writeln!(out, "of them {shared} can still be read in copies of theirs: shred those as well")?;
    }
    store.close().map_err(Failure::from)
}

fn rotate(store: &Store, args: &RotateArgs) -> Result<(), Failure> {
    if let Some(path) = &args.new_key_file {
        return store.rotate_key(KeyFile::open(path)?).map_err(Failure::from);
    }
    let phrase = match std::env::var("OSSICLE_NEW_PASSPHRASE") {
        Ok(phrase) => Zeroizing::new(phrase),
        Err(_) => {
            let phrase = ask("New passphrase: ")?;
            if ask("The new passphrase again: ")? != phrase {
                return Err(Failure::of("the two are not the same; nothing was changed"));
            }
            phrase
        }
    };
    store.rotate_key(Passphrase::new(&**phrase)).map_err(Failure::from)
}

/// What the store's key is called.
fn named(store: &Store) -> String {
    store.key_id().map_or("the store is not encrypted".to_string(), |id| format!("the key {id:?}"))
}
