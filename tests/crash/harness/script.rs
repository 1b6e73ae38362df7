//! Scripts: what a program does with a store, as plain data.

use ossicle::{
    AppendOptions, Bucket, Budget, CompactOptions, CopyOptions, DeleteOptions, Durability, Encryption, Error,
    ErrorKind, Lifecycle, Lsn, PutOptions, Quota, RestoreOptions, Result, Rule, StorageClass, Store,
    VersionId, Versioning, Worm, WormState, WriteOptions,
};
use std::io::Write;
use std::time::{Duration, SystemTime};

use super::Dice;
use super::model::TABLE;
use super::upload::Uploading;

/// Where backups go.
pub const BACKUP: &str = "/backup";

/// The named key that keys of buckets are wrapped with.
pub const KMS: &str = "kms";

/// A bucket and a key.
pub type At = (&'static str, String);

/// A body, as its length and what its bytes are made from.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// How many bytes.
    pub len: usize,
    /// What they are made from; an odd one gets a media type too.
    pub seed: u64,
    /// How long its piece of metadata is, 0 for none.
    pub note: usize,
    /// The class that it is put in, if that is said; such a body can be compressed.
    pub class: Option<StorageClass>,
}

impl Body {
    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut dice = Dice::new(self.seed);
        let mut bytes = Vec::with_capacity(self.len + 8);
        while bytes.len() < self.len {
            let mask = if self.class.is_some() { 0xFFFF } else { u64::MAX };
            bytes.extend_from_slice(&(dice.roll() & mask).to_le_bytes());
        }
        bytes.truncate(self.len);
        bytes
    }

    fn options(&self, durability: Durability) -> PutOptions {
        let thing = self.thing();
        let mut options = PutOptions::new().durability(durability);
        if let Some(text) = thing.content_type {
            options = options.content_type(text);
        }
        for (name, value) in thing.metadata {
            options = options.metadata(name, value);
        }
        if let Some(class) = self.class {
            options = options.storage_class(class);
        }
        options
    }
}

/// A change to objects or rows, alone or in a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    Put {
        bucket: &'static str,
        key: String,
        body: Body,
    },
    Delete {
        bucket: &'static str,
        key: String,
    },
    Rename {
        from: At,
        to: At,
    },
    Copy {
        from: At,
        to: At,
    },
    /// Deletes the version that comes at this place, the newest being 0.
    DeleteVersion {
        bucket: &'static str,
        key: String,
        place: usize,
    },
    Undelete {
        bucket: &'static str,
        key: String,
    },
    /// An append to the end of an object, or the first of one.
    Append {
        bucket: &'static str,
        key: String,
        body: Body,
    },
    /// Everything under a prefix goes.
    DeletePrefix {
        bucket: &'static str,
        prefix: String,
    },
    Row {
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    },
    Cursor {
        name: &'static str,
        lsn: u64,
    },
}

/// One call of a program.
#[derive(Clone, Debug)]
pub enum Op {
    CreateBucket(&'static str),
    DeleteBucket(&'static str),
    Versioning(&'static str, Versioning),
    Do(Step, Durability),
    /// A writer that gets the body in pieces.
    Stream {
        bucket: &'static str,
        key: String,
        body: Body,
        piece: usize,
    },
    /// A writer that is dropped before it is finished.
    Abandon {
        bucket: &'static str,
        key: String,
        body: Body,
    },
    /// An append to the end of an object, or the first of one.
    Append {
        bucket: &'static str,
        key: String,
        body: Body,
        durability: Durability,
    },
    DeleteMany(&'static str, Vec<String>),
    /// Something is done with the upload to a key.
    Upload {
        bucket: &'static str,
        key: String,
        what: Uploading,
    },
    /// A transaction; with `reads`, it looks at what it wrote before it ends.
    Together {
        steps: Vec<Step>,
        durability: Durability,
        reads: bool,
    },
    RemoveCursor(&'static str),
    /// Reads the feed behind a cursor to its end: what was told is durable. Without the cursor, a flush.
    Follow(&'static str),
    Quota(&'static str, Option<Quota>),
    /// A budget of so many bytes without headroom, or none.
    Budget(&'static str, Option<u64>),
    /// A policy of retention that is not locked, or none.
    Worm(&'static str, Option<u32>),
    /// Gives an object another storage class.
    Class {
        bucket: &'static str,
        key: String,
        class: StorageClass,
    },
    /// Restores a frozen object, which takes no time here.
    Restore {
        bucket: &'static str,
        key: String,
    },
    /// What is written to the bucket from now on is encrypted with a key of the bucket.
    Encrypt(&'static str),
    /// The bucket gets another key, and everything in it is written anew with that.
    Rekey(&'static str),
    DeletePrefix(&'static str, String),
    /// Everything under a prefix is deleted, and nothing is left that opens it; only where everything is encrypted.
    Shred(&'static str, String),
    /// The same for a bucket with all that is in it.
    ShredBucket(&'static str),
    /// A lifecycle rule deletes everything under a prefix, at once.
    Expire(&'static str, String),
    RenamePrefix {
        bucket: &'static str,
        prefix: String,
        new_prefix: String,
    },
    Fork {
        from: &'static str,
        name: &'static str,
    },
    /// So much time goes by.
    Wait(Duration),
    /// Closes the store and opens it again with the past retained for so long from now on; zero ends it.
    Retain(Duration),
    Flush,
    Checkpoint,
    Maintain,
    Compact,
    /// Backs the store up to a place beside it.
    Backup,
    /// Two readers in what might be other processes look at the store: one stays what it was at its first look, the
    /// other one is refreshed.
    Look,
    /// Closes the store and opens it again.
    Reopen,
    /// Closes the store and opens it again with its index made anew.
    Rebuild,
}

/// A named list of operations.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: &'static str,
    pub ops: Vec<Op>,
}

impl Op {
    /// Whether everything up to and including this operation is durable once it has returned `Ok`.
    pub fn is_synced(&self) -> bool {
        match self {
            Op::Do(_, durability) | Op::Together { durability, .. } | Op::Append { durability, .. } => {
                *durability == Durability::Synced
            }
            Op::Upload { what, .. } => what.is_synced(),
            Op::Maintain | Op::Look | Op::Wait(_) | Op::Abandon { .. } | Op::Rekey(_) => false,
            _ => true,
        }
    }

    /// Whether it moves a cursor of the feed to a place of its own choice.
    pub fn sets_cursor(&self) -> bool {
        let sets = |step: &Step| matches!(step, Step::Cursor { .. });
        match self {
            Op::Do(step, _) => sets(step),
            Op::Together { steps, .. } => steps.iter().any(sets),
            _ => false,
        }
    }

    /// Does it. `Retain`, `Reopen` and `Rebuild` only close, and `Look` and `Wait` are not the writer's work.
    pub fn run(&self, store: &Store) -> Result<()> {
        match self {
            Op::CreateBucket(name) => store.create_bucket(name).map(drop),
            Op::DeleteBucket(name) => store.delete_bucket(name),
            Op::Versioning(name, state) => store.bucket(name)?.set_config(state),
            Op::Do(step, durability) => step.run(store, *durability),
            Op::Stream { bucket, key, body, piece } => {
                let mut writer = store.bucket(bucket)?.writer(key, body.options(Durability::Synced))?;
                for bytes in body.bytes().chunks(*piece) {
                    writer.write_all(bytes).map_err(unwrap_io)?;
                }
                writer.finish().map(drop)
            }
            Op::Abandon { bucket, key, body } => {
                let mut writer = store.bucket(bucket)?.writer(key, PutOptions::new())?;
                writer.write_all(&body.bytes()).map_err(unwrap_io)
            }
            Op::Append { bucket, key, body, durability } => {
                let bucket = store.bucket(bucket)?;
                let position = bucket.append_position(key)?;
                let mut options = AppendOptions::new().durability(*durability);
                if let Some(class) = body.class {
                    options = options.storage_class(class);
                }
                bucket.append_with(key, position, body.bytes(), options).map(drop)
            }
            Op::Upload { bucket, key, what } => what.run(&store.bucket(bucket)?, key),
            Op::DeleteMany(bucket, keys) => {
                for (_, outcome) in store.bucket(bucket)?.delete_many(keys)? {
                    outcome?;
                }
                Ok(())
            }
            Op::Together { steps, durability, reads } => {
                let options = WriteOptions::new().durability(*durability);
                store.write_with(options, |tx| {
                    for step in steps {
                        step.stage(store, tx)?;
                        if *reads && let Step::Put { bucket, key, body } = step {
                            let got = tx.get(&store.bucket(bucket)?, key)?.bytes()?;
                            assert!(got[..] == body.bytes()[..], "a transaction reads what it wrote");
                        }
                        if *reads && let Step::Append { bucket, key, body } = step {
                            let got = tx.get(&store.bucket(bucket)?, key)?.bytes()?;
                            assert!(got.ends_with(&body.bytes()), "a transaction reads what it appended");
                        }
                        if *reads && let Step::DeletePrefix { bucket, prefix } = step {
                            let left = tx.list(&store.bucket(bucket)?, prefix)?.count();
                            assert_eq!(left, 0, "a transaction lists what it removed");
                        }
                    }
                    Ok(())
                })
            }
            Op::Quota(name, Some(quota)) => store.bucket(name)?.set_config(quota),
            Op::Quota(name, None) => store.bucket(name)?.clear_config::<Quota>(),
            Op::Budget(name, Some(bytes)) => {
                store.bucket(name)?.set_config(&Budget::bytes(*bytes).headroom(0))
            }
            Op::Budget(name, None) => store.bucket(name)?.clear_config::<Budget>(),
            Op::Worm(name, Some(days)) => {
                let (state, created) = (WormState::InProgress, SystemTime::UNIX_EPOCH);
                store.bucket(name)?.set_config(&Worm { days: *days, state, created })
            }
            Op::Worm(name, None) => store.bucket(name)?.clear_config::<Worm>(),
            Op::Class { bucket, key, class } => store.bucket(bucket)?.set_storage_class(key, *class),
            Op::Encrypt(name) => store.bucket(name)?.set_config(&Encryption::kms(KMS)),
            Op::Rekey(name) => {
                let bucket = store.bucket(name)?;
                bucket.rotate_key()?;
                // Step by step, so that the place where it goes on is written and found again.
                while bucket.reencrypt(Duration::ZERO)?.more {}
                Ok(())
            }
            Op::Restore { bucket, key } => {
                let status = store.bucket(bucket)?.restore(key, RestoreOptions::new().days(7))?;
                assert!(status.is_restored(), "{status:?}");
                Ok(())
            }
            Op::DeletePrefix(name, prefix) => store.bucket(name)?.delete_prefix(prefix).map(drop),
            // What is deleted is deleted, durably, whatever becomes of the rest, which is ended later.
            Op::Shred(name, prefix) => match store.bucket(name)?.shred_prefix(prefix) {
                Err(_) if store.bucket(name)?.list(prefix.as_str())?.next().is_none() => Ok(()),
                done => done.map(drop),
            },
            Op::ShredBucket(name) => match store.shred_bucket(name) {
                Err(error) if error.kind() != ErrorKind::NotFound && store.bucket(name).is_err() => Ok(()),
                done => done.map(drop),
            },
            Op::Expire(name, prefix) => {
                let bucket = store.bucket(name)?;
                let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
                bucket.set_config(&Lifecycle::new([Rule::new(prefix.as_str()).expire_on(long_ago)]))?;
                bucket.run_lifecycle().map(drop)
            }
            Op::RenamePrefix { bucket, prefix, new_prefix } => {
                store.bucket(bucket)?.rename_prefix(prefix, new_prefix).map(drop)
            }
            Op::Fork { from, name } => store.fork_bucket(from, name).map(drop),
            Op::Look | Op::Wait(_) => Ok(()),
            Op::RemoveCursor(name) => store.remove_cursor(name),
            Op::Follow(name) => match store.cursor(name)? {
                Some(after) => store.changes(after)?.try_for_each(|change| change.map(drop)),
                None => store.flush(),
            },
            Op::Flush => store.flush(),
            Op::Checkpoint => store.checkpoint(),
            Op::Maintain => store.maintain(Duration::from_secs(3600)).map(drop),
            Op::Compact => store.compact(CompactOptions::new()).map(drop),
            Op::Backup => store.backup(BACKUP).map(drop),
            Op::Retain(_) | Op::Reopen | Op::Rebuild => store.close(),
        }
    }
}

/// A writer speaks through [`Write`]; the store's own error lies inside.
fn unwrap_io(error: std::io::Error) -> Error {
    let kind = error.kind();
    match error.into_inner().map(|inner| inner.downcast::<Error>()) {
        Some(Ok(error)) => *error,
        other => panic!("a writer failed with {kind:?}, but not with an error of the store: {other:?}"),
    }
}

fn nth_version(bucket: &Bucket, key: &str, place: usize) -> Result<Option<VersionId>> {
    let all = bucket.versions(key)?.collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|entry| entry.key == key).nth(place).map(|entry| entry.version))
}

impl Step {
    fn run(&self, store: &Store, durability: Durability) -> Result<()> {
        match self {
            Step::Put { bucket, key, body } => {
                store.bucket(bucket)?.put_with(key, body.bytes(), body.options(durability)).map(drop)
            }
            Step::Delete { bucket, key } => {
                store.bucket(bucket)?.delete_with(key, DeleteOptions::new().durability(durability)).map(drop)
            }
            Step::Rename { from, to } if from.0 == to.0 => {
                let options = CopyOptions::new().durability(durability);
                store.bucket(from.0)?.rename_with(&from.1, &to.1, options).map(drop)
            }
            Step::Copy { from, to } => {
                let (source, target) = (store.bucket(from.0)?, store.bucket(to.0)?);
                target.copy_from(&source, &from.1, &to.1, CopyOptions::new().durability(durability)).map(drop)
            }
            Step::Cursor { name, lsn } if durability == Durability::Synced => {
                store.set_cursor(name, Lsn(*lsn))
            }
            Step::Rename { .. }
            | Step::Row { .. }
            | Step::Cursor { .. }
            | Step::DeleteVersion { .. }
            | Step::Append { .. }
            | Step::DeletePrefix { .. }
            | Step::Undelete { .. } => {
                store.write_with(WriteOptions::new().durability(durability), |tx| self.stage(store, tx))
            }
        }
    }

    fn stage(&self, store: &Store, tx: &mut ossicle::Transaction<'_>) -> Result<()> {
        let bucket = |name: &str| -> Result<Bucket> { store.bucket(name) };
        match self {
            Step::Put { bucket: name, key, body } => {
                tx.put_with(&bucket(name)?, key, body.bytes(), body.options(Durability::Synced))
            }
            Step::Delete { bucket: name, key } => tx.delete(&bucket(name)?, key),
            Step::Rename { from, to } => tx.rename(&bucket(from.0)?, &from.1, &bucket(to.0)?, &to.1),
            Step::Copy { from, to } => tx.copy(&bucket(from.0)?, &from.1, &bucket(to.0)?, &to.1),
            Step::DeleteVersion { bucket: name, key, place } => {
                let bucket = bucket(name)?;
                let Some(version) = nth_version(&bucket, key, *place)? else { return Ok(()) };
                tx.delete_with(&bucket, key, DeleteOptions::new().version(version))
            }
            Step::Undelete { bucket: name, key } => tx.undelete(&bucket(name)?, key),
            Step::Append { bucket: name, key, body } => {
                let bucket = bucket(name)?;
                let position = tx.append_position(&bucket, key)?;
                tx.append(&bucket, key, position, body.bytes()).map(drop)
            }
            Step::DeletePrefix { bucket: name, prefix } => tx.delete_prefix(&bucket(name)?, prefix),
            Step::Row { key, value: Some(value) } => tx.put_row(TABLE, key, value),
            Step::Row { key, value: None } => tx.delete_row(TABLE, key),
            Step::Cursor { name, lsn } => tx.set_cursor(name, Lsn(*lsn)),
        }
    }
}
