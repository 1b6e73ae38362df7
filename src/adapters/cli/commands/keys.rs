//! The key of an encrypted store: where it comes from, and `ossicle key`.

use std::io::Write;
use std::path::Path;

use crate::adapters::cli::args::args::{KeyCommand, RotateArgs, ShredArgs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::key_options::{KEY, Key, NEW_PASSPHRASE, ask, not_empty, variable};
use crate::adapters::cli::{format, opening};
use crate::{KeyFile, Passphrase, Store};

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
                Some(Key::Phrase(phrase) | Key::Offered(phrase)) if store.key_id().is_some() => {
                    store.rotate_key(Passphrase::new(&***phrase))?
                }
                // It was opened without a key.
                _ => return Err(Failure::of("the store is not encrypted")),
            }
            writeln!(out, "wrapped again with {}", named(&store))?;
            store.close().map_err(Failure::from)
        }
        KeyCommand::Shred(args) => shred(store, args, out),
        KeyCommand::Reencrypt => {
            let store = opening::to_write(store)?;
            let done = store.reencrypt()?;
            writeln!(out, "encrypted again: {}", format::counted(done.segments, "segment"))?;
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
    if done.objects == 0 && done.segments == 0 && (args.key.is_some() || args.prefix.is_some()) {
        store.close()?;
        return Err(Failure::of("there is nothing of that name, and nothing dead to shred"));
    }
    let (objects, bytes) = (format::counted(done.objects, "object"), format::bytes(done.bytes));
    writeln!(out, "shredded {objects}, {bytes}; {} removed", format::counted(done.segments, "segment"))?;
    if done.shared_objects > 0 {
        let shared = format::counted(done.shared_objects, "object");
        writeln!(out, "of them {shared} can still be read in copies of theirs: shred those as well")?;
    }
    store.close().map_err(Failure::from)
}

fn rotate(store: &Store, args: &RotateArgs) -> Result<(), Failure> {
    if let Some(path) = &args.new_key_file {
        return store.rotate_key(KeyFile::open(path)?).map_err(Failure::from);
    }
    let phrase = match variable(NEW_PASSPHRASE)? {
        Some(phrase) => not_empty(phrase, NEW_PASSPHRASE)?,
        None => {
            let phrase = ask("New passphrase: ", NEW_PASSPHRASE)?;
            if ask("The new passphrase again: ", NEW_PASSPHRASE)? != phrase {
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
