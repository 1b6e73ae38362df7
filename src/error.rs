//! The one error type: what went wrong, its OSS code, and what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong. Programs branch on this; people read the [`Display`](fmt::Display) sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bucket, object, version or upload does not exist.
    NotFound,
    /// It exists already, or is not empty.
    AlreadyExists,
    /// A condition of the request (`if_match`, `if_absent`) does not hold.
    Precondition,
    /// A conditional read found nothing newer.
    NotModified,
    /// The caller is not allowed to do this.
    Denied,
    /// The request itself is wrong: a name, a size, a range, a setting.
    Invalid,
    /// The object is protected and may not change: by retention or a hold, or because a fork or the retained past shows it.
    Immutable,
    /// The body is in an archive class and must be restored first.
    Archived,
    /// There is no room: a quota is reached or the disk is full ([`Error::is_full`] tells which). Deleting makes room.
    Quota,
    /// This store, format or build cannot do that.
    Unsupported,
    /// Someone else holds it now; trying again later may work.
    Busy,
    /// The store was closed, or closed itself for writing after a failure. Open it again.
    Closed,
    /// Bytes on disk are not what was written there.
    Corrupt,
    /// The operating system reported a failure.
    Io,
}

/// What went wrong. Branch on [`kind`](Error::kind) or [`code`](Error::code); [`Display`](fmt::Display) is one sentence for people
/// that says what to do. One pointer wide. Converts into [`io::Error`].
pub struct Error(Box<Repr>);

/// What is said of damage that is met while a store is open.
const HOW_FAR: &str = "; run `Store::verify` to see how far it goes";

/// A sentence about damage as it stands in a report that says how far it goes itself.
pub(crate) fn in_report(sentence: &str) -> &str {
    sentence.trim_end_matches(HOW_FAR)
}

struct Repr {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    fatal: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with an OSS `code` and one sentence for people.
    pub(crate) fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Error {
        Error(Box::new(Repr { kind, code, message: message.into(), fatal: false, source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Error {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Marks the error as one after which the store takes no more writes until it is opened again.
    pub(crate) fn into_fatal(mut self) -> Error {
        self.0.fatal = true;
        self
    }

    /// A request that can never work as it stands.
    pub(crate) fn invalid(code: &'static str, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, code, message)
    }

    /// Bytes in `file` at `offset` are not what was written.
    pub(crate) fn corrupt(file: impl fmt::Display, offset: u64, reason: impl fmt::Display) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            "Corrupt",
            format!("{file} is damaged at byte {offset}: {reason}{HOW_FAR}"),
        )
    }

    /// The store cannot be used any more as it was opened; `told` says why, and what to do.
    pub(crate) fn closed(told: impl Into<String>) -> Error {
        Error::new(ErrorKind::Closed, "StoreClosed", told)
    }

    /// A commit of which nobody knows whether it survives, because `error` came in between. Whatever that was, the store
    /// takes no more writes until it is opened again, so room that somebody makes helps nothing.
    pub(crate) fn unknown(error: Error) -> Error {
        let told = format!(
            "{error}; whether the last commits survive is known only after the store is opened again"
        );
        Error::new(ErrorKind::Io, "CommitUnknown", told).with_source(error).into_fatal()
    }

    /// The provider of a key did not refuse, but failed to answer.
    pub(crate) fn key_unavailable(told: impl Into<String>, error: io::Error) -> Error {
        Error::new(ErrorKind::Io, "KeyUnavailable", told).with_source(error)
    }

    /// Damage that keeps the store in `dir` from opening: it cannot be verified either, but what can be read of it can be
    /// saved. Every other error stays as it is.
    pub(crate) fn while_opening(mut self, dir: impl fmt::Display) -> Error {
        if self.0.kind == ErrorKind::Corrupt {
            let what = self.0.message.trim_end_matches(HOW_FAR);
            self.0.message = if ["/index.tree is damaged", "/index.alt.tree is damaged"]
                .iter()
                .any(|name| what.contains(name))
            {
                format!(
                    "{what}; only the index is damaged, which is made again from the log: remove index.tree and \
                     index.alt.tree in {dir} while nothing has the store open, then open it again"
                )
            } else {
                format!(
                    "{what}; the store does not open like this, and `Store::salvage` writes what can be read of {dir} into \
                     a new directory"
                )
            };
        }
        self
    }

    /// A failed call to the operating system; `doing` completes "failed while ...".
    pub(crate) fn io(doing: impl fmt::Display, error: io::Error) -> Error {
        if is_full(&error) {
            return Error::new(
                ErrorKind::Quota,
                "StorageFull",
                format!(
                    "the disk is full: failed while {doing}; delete objects or make room, then try again"
                ),
            )
            .with_source(error);
        }
        if is_out_of_files(&error) {
            let told = format!(
                "failed while {doing}: this process, or the system, has too many files open; close some, or raise the limit \
                 (`ulimit -n`, `LimitNOFILE` of a service), then try again"
            );
            return Error::new(ErrorKind::Io, "InternalError", told).with_source(error);
        }
        Error::new(ErrorKind::Io, "InternalError", format!("failed while {doing}: {error}"))
            .with_source(error)
    }

    /// Work in the background that makes way for something more urgent; nobody is told.
    pub(crate) fn given_up(doing: &str) -> Error {
        Error::new(
            ErrorKind::Busy,
            "OperationConflict",
            format!("{doing} was given up; it is done again later"),
        )
    }

    /// A call in a process that was forked from the one that opened the store.
    pub(crate) fn opened_elsewhere() -> Error {
        Error::closed(
            "this store was opened by another process, which this one was forked from; open it again here",
        )
    }

    /// The directory of the store is not what it was, so nothing more is written to it.
    pub(crate) fn displaced(why: &str) -> Error {
        Error::closed(format!("the store takes no more writes: {why}; then open the store again"))
    }

    /// A store was to be made where its reserve cannot be had.
    pub(crate) fn no_reserve(dir: &impl fmt::Display, wanted: u64, had: u64) -> Error {
        let why = format!(
            "there is no room for a store in {dir}: {wanted} bytes are kept in reserve there, so that it can be emptied when the \
             disk is full, and {had} could be had; make room, choose another disk, or ask for less with \
             `Settings::reserve_bytes`"
        );
        Error::new(ErrorKind::Quota, "StorageFull", why)
    }

    /// There is no room for the checkpoint that a commit would make necessary; there is once what was committed before it is
    /// part of one.
    pub(crate) fn checkpoint_first() -> Error {
        let why = "the disk is full: there is no room for another checkpoint; delete objects or make room, then try again";
        Error::new(ErrorKind::Quota, "StorageFull", why).with_source(CheckpointFirst)
    }

    /// Whether it comes of [`checkpoint_first`](Error::checkpoint_first).
    pub(crate) fn wants_checkpoint(&self) -> bool {
        self.0.source.as_ref().is_some_and(|source| source.is::<CheckpointFirst>())
    }

    /// What lies in a tier whose directory cannot be used.
    pub(crate) fn out_of_service(tier: u8, why: &str) -> Error {
        Error::new(
            ErrorKind::Io,
            "TierOutOfService",
            format!(
                "tier {tier} is out of service: {why}; bring the directory back, then open the store again"
            ),
        )
    }

    /// The kind of error, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code: that of OSS where OSS has one, such as `"NoSuchKey"`; otherwise Ossicle's own. A code has one kind.
    ///
    /// | code | kind | when |
    /// |---|---|---|
    /// | `AccessDenied` | [`Denied`](ErrorKind::Denied) | a key does not fit or its provider refuses, the store is open for reading only, or this user may not use it |
    /// | `BucketAlreadyExists` | [`AlreadyExists`](ErrorKind::AlreadyExists) | a bucket of this name is there |
    /// | `BucketNotEmpty` | [`AlreadyExists`](ErrorKind::AlreadyExists) | a bucket that is to be removed holds something |
    /// | `CommitUnknown` | [`Io`](ErrorKind::Io) | a write or a sync failed so that only opening the store again tells what survived |
    /// | `Corrupt` | [`Corrupt`](ErrorKind::Corrupt) | bytes on disk are not what was written there |
    /// | `DirectoryNotEmpty` | [`AlreadyExists`](ErrorKind::AlreadyExists) | a backup or a salvage is to go where other files lie |
    /// | `EntityTooLarge` | [`Invalid`](ErrorKind::Invalid) | a body, a row or a commit is longer than it may be |
    /// | `EntityTooSmall` | [`Invalid`](ErrorKind::Invalid) | a part other than the last one is too short |
    /// | `FeedTruncated` | [`NotFound`](ErrorKind::NotFound) | the log behind a cursor is gone |
    /// | `FileAlreadyExists` | [`Precondition`](ErrorKind::Precondition) | `if_absent`, and there is an object |
    /// | `FileImmutable` | [`Immutable`](ErrorKind::Immutable) | retention, a legal hold, a fork or the retained past keeps it as it is |
    /// | `IncompleteBody` | [`Invalid`](ErrorKind::Invalid) | a body had another length or checksum than was said |
    /// | `InternalError` | [`Io`](ErrorKind::Io) | the operating system reported a failure |
    /// | `InvalidArgument` | [`Invalid`](ErrorKind::Invalid) | an option or a name that cannot be |
    /// | `InvalidBucketName` | [`Invalid`](ErrorKind::Invalid) | a name that no bucket can have |
    /// | `InvalidEncryptionAlgorithmError` | [`Invalid`](ErrorKind::Invalid) | an encryption that is not known |
    /// | `InvalidEncryptionRequest` | [`Invalid`](ErrorKind::Invalid) | what a client encrypted would become unreadable |
    /// | `InvalidObjectName` | [`Invalid`](ErrorKind::Invalid) | a key that no object can have |
    /// | `InvalidObjectState` | [`Archived`](ErrorKind::Archived) | the body is frozen; `restore` it first |
    /// | `InvalidPart` | [`Invalid`](ErrorKind::Invalid) | a part that was named is not there |
    /// | `InvalidPartOrder` | [`Invalid`](ErrorKind::Invalid) | parts are not named in order |
    /// | `InvalidRange` | [`Invalid`](ErrorKind::Invalid) | a range without any byte of the body |
    /// | `InvalidRequest` | [`Invalid`](ErrorKind::Invalid) | what was asked for does not go with what is set |
    /// | `InvalidTag` | [`Invalid`](ErrorKind::Invalid) | tags that cannot be |
    /// | `InvalidTargetType` | [`Invalid`](ErrorKind::Invalid) | a symlink leads to a symlink |
    /// | `InvalidWORMConfiguration` | [`Invalid`](ErrorKind::Invalid) | a retention policy that cannot be |
    /// | `KeyNotFound` | [`Denied`](ErrorKind::Denied) | no named key of this name was handed to the store |
    /// | `KeyUnavailable` | [`Io`](ErrorKind::Io) | the provider of a key failed to answer |
    /// | `KmsServiceNotEnabled` | [`Denied`](ErrorKind::Denied) | no named keys were handed to the store |
    /// | `MethodNotAllowed` | [`Unsupported`](ErrorKind::Unsupported) | a delete marker was asked for as if it were an object |
    /// | `NoSuchBucket` | [`NotFound`](ErrorKind::NotFound) | there is no such bucket, or another one of its name |
    /// | `NoSuchKey` | [`NotFound`](ErrorKind::NotFound) | there is no such object |
    /// | `NoSuchMoment` | [`NotFound`](ErrorKind::NotFound) | the past does not reach there |
    /// | `NoSuchStore` | [`NotFound`](ErrorKind::NotFound) | there is no store in the directory |
    /// | `NoSuchUpload` | [`NotFound`](ErrorKind::NotFound) | there is no such upload |
    /// | `NoSuchVersion` | [`NotFound`](ErrorKind::NotFound) | there is no such version |
    /// | `NotAFork` | [`Invalid`](ErrorKind::Invalid) | the bucket is no fork |
    /// | `NotImplemented` | [`Unsupported`](ErrorKind::Unsupported) | a newer version wrote it |
    /// | `NotModified` | [`NotModified`](ErrorKind::NotModified) | a conditional read found nothing newer |
    /// | `NotSymlink` | [`Invalid`](ErrorKind::Invalid) | the object is no symlink |
    /// | `ObjectNotAppendable` | [`Precondition`](ErrorKind::Precondition) | the object did not begin with an append |
    /// | `ObjectNotCopyable` | [`Invalid`](ErrorKind::Invalid) | an object that grows is not copied |
    /// | `OperationConflict` | [`Busy`](ErrorKind::Busy) | somebody else is at it; try again |
    /// | `OperationNotSupported` | [`Unsupported`](ErrorKind::Unsupported) | it cannot be done with this object or in this place |
    /// | `PositionNotEqualToLength` | [`Precondition`](ErrorKind::Precondition) | an append to another place than the end |
    /// | `PreconditionFailed` | [`Precondition`](ErrorKind::Precondition) | a condition does not hold |
    /// | `QuotaExceeded` | [`Quota`](ErrorKind::Quota) | a quota or a budget is reached |
    /// | `RestoreAlreadyInProgress` | [`Archived`](ErrorKind::Archived) | the body is thawing already |
    /// | `Stopped` | [`Busy`](ErrorKind::Busy) | the caller stopped it |
    /// | `StorageFull` | [`Quota`](ErrorKind::Quota) | the disk is full |
    /// | `StoreBusy` | [`Busy`](ErrorKind::Busy) | somebody else has the store |
    /// | `StoreClosed` | [`Closed`](ErrorKind::Closed) | the store was closed, takes no more writes, or belongs to the process that this one was forked from |
    /// | `SymlinkTargetNotExist` | [`NotFound`](ErrorKind::NotFound) | a symlink leads nowhere |
    /// | `TierOutOfService` | [`Io`](ErrorKind::Io) | the directory of a tier cannot be used |
    /// | `TooManyForks` | [`Quota`](ErrorKind::Quota) | a bucket has as many forks as it can |
    /// | `TooManyObjects` | [`Invalid`](ErrorKind::Invalid) | more than one commit can change one by one |
    /// | `WORMConfigurationLocked` | [`Immutable`](ErrorKind::Immutable) | a locked retention policy is to be weakened |
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Whether the bucket, object, version, upload or moment does not exist: the kind is [`NotFound`](ErrorKind::NotFound).
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }

    /// Whether the same call may succeed later without any change by the caller to the request.
    pub fn is_retryable(&self) -> bool {
        !self.0.fatal && matches!(self.0.kind, ErrorKind::Busy | ErrorKind::Quota)
    }

    /// Whether the store takes no more writes until it is opened again.
    pub fn is_fatal(&self) -> bool {
        self.0.fatal || self.0.kind == ErrorKind::Closed
    }

    /// Whether the disk had no room: it is full, the user's quota on it is used up, or a file may not grow any further.
    /// Its code is `"StorageFull"`. Deleting objects, or making room on the disk, lets the same call succeed later; nothing of
    /// it has happened. The kind [`Quota`](ErrorKind::Quota) says so too, but also of a bucket that is as full as
    /// its [`Quota`](crate::Quota) lets it be, where this is `false`.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{Quota, ErrorKind, Store};
    /// let bucket = Store::in_memory()?.create_bucket("photos")?;
    /// bucket.set_config(&Quota { bytes: Some(3), ..Quota::default() })?;
    /// let error = bucket.put("a", b"four").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Quota);
    /// assert!(!error.is_full(), "the bucket is full, and the disk is not");
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_full(&self) -> bool {
        self.0.code == "StorageFull"
    }

    /// Another error that says the same, for the other members of a group that failed together.
    pub(crate) fn duplicate(&self) -> Error {
        Error(Box::new(Repr {
            kind: self.0.kind,
            code: self.0.code,
            message: self.0.message.clone(),
            fatal: self.0.fatal,
            source: None,
        }))
    }
}

/// What an error carries that a checkpoint would mend.
#[derive(Debug)]
struct CheckpointFirst;

impl fmt::Display for CheckpointFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a checkpoint has to be made first")
    }
}

impl StdError for CheckpointFirst {}

/// Whether the operating system said that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Whether the operating system said that too many files are open, in this process or in all.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    let is = |errno: rustix::io::Errno| error.raw_os_error() == Some(errno.raw_os_error());
    is(rustix::io::Errno::MFILE) || is(rustix::io::Errno::NFILE)
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("code", &self.0.code).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Invalid => io::ErrorKind::InvalidInput,
            ErrorKind::Quota => io::ErrorKind::StorageFull,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
