//! The command line as it is written, with its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::budget::{BudgetCommand, KeepArgs, PinArgs};
use super::encryption::{CustomerArgs, EncryptionCommand, SealArgs};
use crate::adapters::cli::address::{Address, with_key};
use crate::adapters::cli::args::encryption::named;
use crate::{RestorePriority, StorageClass};

/// An object store in a directory: buckets and objects with the semantics of Alibaba Cloud OSS, and no server.
#[derive(Debug, Parser)]
#[command(
    name = "ossicle",
    version,
    arg_required_else_help = true,
    after_help = "Objects are named `bucket/key`. A first minute:\n  \
        export OSSICLE_STORE=~/store\n  \
        ossicle import ~/photos photos\n  \
        ossicle ls -l photos\n  \
        ossicle export photos /tmp/again\n\n\
        Exit codes:\n  \
        0    done; also an empty list of a whole bucket or store, and a state that was so already\n  \
        1    something failed, or nothing of that name exists; standard error says which and why, and the rest was\n       \
             done. With `rm -f` a missing object is no failure\n  \
        2    wrong command line; nothing was done\n  \
        130  stopped by Ctrl-C\n\n\
        OSSICLE_PASSPHRASE opens a store that is encrypted with a passphrase; by itself it makes no encrypted one."
)]
pub struct Invocation {
    /// The directory of the store
    #[arg(short, long, global = true, env = "OSSICLE_STORE", value_name = "DIR", hide_env_values = true)]
    pub store: Option<PathBuf>,
    /// The file with the key of an encrypted store: 32 bytes, or 64 hexadecimal digits. A new store is encrypted with it
    #[arg(long, global = true, env = "OSSICLE_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    pub key_file: Option<PathBuf>,
    /// Open the store with a passphrase, or make an encrypted one: the one in the environment variable OSSICLE_PASSPHRASE,
    /// else one that is asked for. Without this flag the variable only opens stores that are encrypted with a passphrase
    #[arg(long, global = true, conflicts_with = "key_file")]
    pub passphrase: bool,
    /// A named key for `--sse KMS:NAME`, in a file as the key of a store is; may be given often
    #[arg(long = "kms-key", global = true, value_name = "NAME=FILE", value_parser = named)]
    pub kms_keys: Vec<(String, PathBuf)>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a bucket (and the store, if it is missing)
    Mb(MbArgs),
    /// Remove an empty bucket, or a fork with everything in it
    Rb(BucketArgs),
    /// List the buckets, or the objects in one
    Ls(LsArgs),
    /// Write a file, or standard input, as an object
    Put(PutArgs),
    /// Write an object to a file, whole or not at all
    Get(GetArgs),
    /// Write objects to standard output
    Cat(CatArgs),
    /// Delete objects
    Rm(RmArgs),
    /// Show the metadata of an object
    Stat(StatArgs),
    /// Copy an object, or with `-r` everything below a key; the bodies are shared, not copied
    Cp(CpArgs),
    /// Rename an object, or with `-r` everything below a key; no body is copied
    Mv(MvArgs),
    /// Show the tags of an object, or replace them
    Tag(TagArgs),
    /// Show the storage class of an object, or change it
    Class(ClassArgs),
    /// Show or set where the bodies of each storage class are stored
    Tier(TierArgs),
    /// Restore an object in an archive class, so that it can be read for some days
    Restore(RestoreArgs),
    /// Show or set whether a bucket keeps versions
    Versioning(VersioningArgs),
    /// List versions and delete markers, of each key the newest first
    Versions(VersionsArgs),
    /// Bring deleted objects back, in a bucket that keeps versions
    Undelete(UndeleteArgs),
    /// Make a bucket as a copy of another one; no object is copied
    Fork(ForkArgs),
    /// List the keys under which two buckets differ: `+` added, `-` removed, `~` changed
    Diff(DiffArgs),
    /// Show or set for how long the past can be read (`ls --as-of`)
    History(HistoryArgs),
    /// Show or set the lifecycle rules of a bucket, preview what they would do, or run them now
    Lifecycle {
        #[command(subcommand)]
        command: LifecycleCommand,
    },
    /// Show or set how a bucket encrypts what is written to it
    Encryption {
        #[command(subcommand)]
        command: EncryptionCommand,
    },
    /// Show or set how much a bucket or the store may hold, and what is evicted first
    Budget {
        #[command(subcommand)]
        command: BudgetCommand,
    },
    /// Pin an object, so that no budget evicts it
    Pin(PinArgs),
    /// Remove the pin of an object
    Unpin(PinArgs),
    /// Show or set whether and how soon an object may be evicted
    Keep(KeepArgs),
    /// Count objects and bytes under a prefix, or in every bucket
    Du(DuArgs),
    /// Import a directory tree; run again, it imports only what changed
    Import(ImportArgs),
    /// Export objects as a directory tree; run again, it writes only what is missing
    Export(ExportArgs),
    /// Show what happened, commit by commit
    Feed(FeedArgs),
    /// Read everything and list what is damaged; changes nothing
    Verify,
    /// Reclaim all disk space that can be reclaimed
    Compact,
    /// Show the size and the state of the store
    Info,
    /// Show or change the key of an encrypted store; shred objects
    #[command(subcommand)]
    Key(KeyCommand),
    /// Back up a store into a directory; run again, it copies only what is new
    Backup(BackupArgs),
    /// Copy a backup to a new directory and check all of it
    RestoreBackup(RestoreBackupArgs),
    /// Write what can be read of a damaged store into a new one; the damaged one is not changed
    Salvage(SalvageArgs),
    /// Try everything on a real directory, checked file by file
    Tour(TourArgs),
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Show the name of the key
    Show,
    /// Change the key that opens the store, at once: the old key then opens only backups that were made before
    Rotate(RotateArgs),
    /// Wrap the root key again with the same key: a passphrase is then worked out as this version does it
    Rewrap,
    /// Delete an object, all under a prefix or a bucket, and destroy the keys of what was deleted, so that nobody ever
    /// reads it again; backups and copies of the store are not reached
    Shred(ShredArgs),
    /// Encrypt everything in the store again with fresh keys; takes as long as copying it
    Reencrypt,
}

#[derive(Debug, Args)]
pub struct ShredArgs {
    /// The bucket, which is shredded itself if no key and no prefix is named
    pub bucket: String,
    /// The key of an object, of which every version is shredded
    #[arg(conflicts_with = "prefix")]
    pub key: Option<String>,
    /// Every key with this prefix
    #[arg(long)]
    pub prefix: Option<String>,
    /// Confirm: this cannot be undone
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The file with the new key
    #[arg(long, value_name = "FILE", required_unless_present = "new_passphrase")]
    pub new_key_file: Option<PathBuf>,
    /// Ask for a new passphrase (the environment variable OSSICLE_NEW_PASSPHRASE may hold it)
    #[arg(long, conflicts_with = "new_key_file")]
    pub new_passphrase: bool,
}

#[derive(Debug, Args)]
pub struct MbArgs {
    /// The name: 3 to 63 of a-z, 0-9 and hyphen
    pub bucket: String,
    /// The storage class of objects that are written without one
    #[arg(long, value_name = "CLASS", default_value_t)]
    pub class: StorageClass,
}

#[derive(Debug, Args)]
pub struct BucketArgs {
    /// The name: 3 to 63 of a-z, 0-9 and hyphen
    pub bucket: String,
}

#[derive(Debug, Subcommand)]
pub enum LifecycleCommand {
    /// Write the rules to standard output, in OSS's XML
    Show(NamedArgs),
    /// Set the rules, replacing the earlier ones
    Set(LifecycleSetArgs),
    /// Remove all rules
    Clear(NamedArgs),
    /// List what the run of a day would do: the action, the rule, the key, the version or upload; nothing is changed
    Preview(LifecyclePreviewArgs),
    /// Carry the rules out now, instead of at the next midnight (UTC)
    Run(NamedArgs),
    /// Show what the last run did
    Report(NamedArgs),
    /// Show or set whether the bucket notes accesses, for rules that count from them
    Monitor(LifecycleMonitorArgs),
}

#[derive(Debug, Args)]
pub struct NamedArgs {
    /// The bucket
    pub bucket: String,
}

#[derive(Debug, Args)]
pub struct LifecycleSetArgs {
    /// The bucket
    pub bucket: String,
    /// The rules in OSS's XML, as `ossutil lifecycle` takes them; `-` is standard input
    pub file: PathBuf,
    /// Let rules overlap that have the same action; of actions due on the same day the most drastic one is done
    #[arg(long)]
    pub allow_overlap: bool,
}

#[derive(Debug, Args)]
pub struct LifecyclePreviewArgs {
    /// The bucket
    pub bucket: String,
    /// The run of this day (`2026-02-03`, UTC) instead of that of today
    #[arg(long, value_name = "DAY", value_parser = crate::adapters::cli::format::as_of)]
    pub at: Option<crate::AsOf>,
}

#[derive(Debug, Args)]
pub struct LifecycleMonitorArgs {
    /// The bucket
    pub bucket: String,
    /// `enabled` or `disabled`; without it, the state is shown
    #[arg(value_parser = monitor)]
    pub state: Option<crate::AccessMonitor>,
}

#[derive(Debug, Args)]
pub struct LsArgs {
    /// `bucket` or `bucket/prefix`; without it, the buckets are listed
    pub at: Option<Address>,
    /// Everything under the prefix, instead of rolling up at the next `/`
    #[arg(short, long)]
    pub recursive: bool,
    /// With size, time (UTC), storage class and entity tag
    #[arg(short, long)]
    pub long: bool,
    /// As it was: after this commit (a number), or at this time (`2026-02-03 04:05:06`, UTC), as far back as
    /// `ossicle history` says
    #[arg(long, value_name = "WHEN", value_parser = crate::adapters::cli::format::as_of)]
    pub as_of: Option<crate::AsOf>,
}

#[derive(Debug, Args)]
pub struct PutArgs {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Where to: `bucket/key`; behind a bucket or a `/` at the end, the name of the file is added
    pub to: Address,
    /// The media type
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A pair of user metadata; may be given often
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,
    /// The storage class: Standard, IA, Archive, ColdArchive or DeepColdArchive; without it, the bucket's
    #[arg(long, value_name = "CLASS")]
    pub class: Option<StorageClass>,
    /// Fail if there is an object under the key already
    #[arg(long)]
    pub if_absent: bool,
    #[command(flatten)]
    pub client_key: crate::adapters::cli::client_key::ClientKey,
    #[command(flatten)]
    pub seal: SealArgs,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub from: Address,
    /// Where to; `-` is standard output; without it (or for a directory), the last part of the key
    pub to: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(short, long)]
    pub force: bool,
    #[command(flatten)]
    pub client_key: crate::adapters::cli::client_key::ClientKey,
    #[command(flatten)]
    pub customer: CustomerArgs,
}

#[derive(Debug, Args)]
pub struct CatArgs {
    /// The objects
    #[arg(required = true, value_parser = with_key)]
    pub objects: Vec<Address>,
    /// Only these bytes, the last one included: `0-99`, `100-`, or `-100` for the last hundred
    #[arg(long, value_name = "A-B", value_parser = span, allow_hyphen_values = true)]
    pub range: Option<Span>,
    #[command(flatten)]
    pub client_key: crate::adapters::cli::client_key::ClientKey,
    #[command(flatten)]
    pub customer: CustomerArgs,
}

#[derive(Debug, Args)]
pub struct RmArgs {
    /// The objects
    #[arg(required = true)]
    pub objects: Vec<Address>,
    /// The object, if there is one of that key, and everything below it, as in a tree, in one commit (a thousand objects a
    /// commit if both are there); a bucket alone is emptied. In a bucket that keeps versions every object gets a delete
    /// marker, and what is none gets none
    #[arg(short, long)]
    pub recursive: bool,
    /// Succeed if an object does not exist
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct StatArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub object: Address,
}

#[derive(Debug, Args)]
pub struct CpArgs {
    /// The object, or with `-r` where it lies below
    pub from: Address,
    /// Where to; behind a bucket or a `/` at the end, the last part of the key is added
    pub to: Address,
    /// Everything below the key, as in a tree
    #[arg(short, long)]
    pub recursive: bool,
    /// This version of the object
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// The storage class of the copies; without it, that of the bucket they go to
    #[arg(long, value_name = "CLASS")]
    pub class: Option<StorageClass>,
    /// Fail if there is an object under the new key already
    #[arg(long)]
    pub if_absent: bool,
}

#[derive(Debug, Args)]
pub struct MvArgs {
    /// The object, or with `-r` where it lies below
    pub from: Address,
    /// Where to; behind a bucket or a `/` at the end, the last part of the key is added
    pub to: Address,
    /// Everything below the key, as in a tree: one commit, whatever it is
    #[arg(short, long)]
    pub recursive: bool,
}

#[derive(Debug, Args)]
pub struct TagArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub object: Address,
    /// The tags it has from now on; without any, they are shown
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// Take all tags off
    #[arg(long, conflicts_with = "tags")]
    pub clear: bool,
}

#[derive(Debug, Args)]
pub struct TierArgs {
    /// The class: Standard, IA, Archive, ColdArchive or DeepColdArchive
    #[arg(requires = "dir")]
    pub class: Option<StorageClass>,
    /// Where what is written to the class from now on lies, on another disk perhaps. The store remembers it; what is there
    /// already stays where it is
    #[arg(long, value_name = "DIR", requires = "class")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ClassArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub object: Address,
    /// The class it has from now on: Standard, IA, Archive, ColdArchive or DeepColdArchive; what is frozen must be
    /// restored first
    pub class: Option<StorageClass>,
    /// This version of the object
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The object
    #[arg(value_parser = with_key)]
    pub object: Address,
    /// For how many days: 1 to 7 in Archive, 1 to 365 in the colder classes [default: 1]
    #[arg(long, value_name = "DAYS")]
    pub days: Option<u32>,
    /// How urgently, in the colder classes: Expedited, Standard or Bulk [default: Standard]
    #[arg(long, value_name = "PRIORITY")]
    pub priority: Option<RestorePriority>,
    /// This version of the object
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
}

#[derive(Debug, Args)]
pub struct VersioningArgs {
    /// The bucket
    pub bucket: String,
    /// `enabled` or `suspended`; without it, the state is shown
    #[arg(value_parser = versioning)]
    pub state: Option<crate::Versioning>,
}

#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// `bucket` or `bucket/prefix`
    pub at: Address,
}

#[derive(Debug, Args)]
pub struct UndeleteArgs {
    /// The objects
    #[arg(required = true, value_parser = with_key)]
    pub objects: Vec<Address>,
}

#[derive(Debug, Args)]
pub struct ForkArgs {
    /// The bucket to begin from
    pub from: String,
    /// The new bucket; `ossicle rb` drops it, with what was written to it
    pub bucket: String,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The bucket
    pub bucket: String,
    /// The bucket to compare with; without it, the one that a fork was made from
    pub with: Option<String>,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// `90s`, `15m`, `24h`, `7d`, or `off`, which forgets the past; without it, what is set is shown
    pub span: Option<String>,
}

#[derive(Debug, Args)]
pub struct DuArgs {
    /// `bucket` or `bucket/prefix`; without it, every bucket
    pub at: Option<Address>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Kept of a file: its bytes, its mode bits (metadata `src-mode`) and the time of its last \
    change (`src-mtime`). A file whose size, time and mode are those of its object is skipped. Symbolic links are \
    kept as links, empty directories as objects whose key ends in `/`, and so are others whose mode is not 0755; \
    the mode of the directory itself is kept as well. Holes of sparse files are zeros in the store, see \
    `--compress`; an export leaves them out again. What cannot be taken (a file that may not \
    be read, a fifo, a name that is not UTF-8) is listed at the end; the rest goes on. Hard links become \
    files of their own. The store itself is left out if it lies in the tree. A missing store or bucket is made. \
    Stopped by Ctrl-C or by a crash, run it again: it goes on where it was."
)]
pub struct ImportArgs {
    /// The directory
    pub directory: PathBuf,
    /// Where to: `bucket` or `bucket/prefix`
    pub to: Address,
    /// Files taken at once [default: as many as processors, 2 to 4]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Show what would be taken, and take nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Compare by content (BLAKE3) instead of size and time
    #[arg(short, long)]
    pub checksum: bool,
    /// Leave out files and directories with this name, in which `*` stands for any letters and `?` for one (quote them);
    /// may be given often. One that leaves nothing out is told at the end, with exit code 1
    #[arg(long, value_name = "NAME")]
    pub exclude: Vec<String>,
    /// Let the store compress what is taken, if it is longer than 256 KiB: holes of sparse files, and what repeats itself,
    /// take little room then
    #[arg(long)]
    pub compress: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every file is written under a temporary name and renamed when it is whole. A file that is \
    there already is skipped if it is equal (by size and time, else by content) and kept if it is not, unless \
    `--force` is given. Blocks of zeros become holes. Directories are their owner's alone until they are filled, and \
    then get the mode they had, if it is known. Nothing is written outside the directory: keys that cannot be file names (`..`, an empty \
    part, a key that is a file and a directory at once) and keys whose way leads through a symbolic link are \
    listed at the end and skipped. Mode bits (without set-user-id and its kin) and times are put back. Like \
    `cp`, it does not wait for the disk."
)]
pub struct ExportArgs {
    /// What: `bucket` or `bucket/prefix`
    pub from: Address,
    /// Where to; made if it is missing
    pub directory: PathBuf,
    /// Files written at once [default: as many as processors, 2 to 4]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Compare with files that are there by content (BLAKE3) alone
    #[arg(short, long)]
    pub checksum: bool,
    /// Replace files that are there and differ
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A line begins with the number of its commit; lines with the same number happened together. The log \
    keeps old commits only as long as objects need them or a cursor does: where it begins too late, take the objects \
    themselves (`ossicle export`) and go on from there. `--follow` looks once a second and leaves the store to others \
    between; stop it with Ctrl-C."
)]
pub struct FeedArgs {
    /// Begin behind this commit; without it, behind the cursor, or with the oldest commit that is left
    #[arg(long, value_name = "LSN")]
    pub after: Option<u64>,
    /// Begin behind this durable cursor
    #[arg(long, value_name = "NAME")]
    pub cursor: Option<String>,
    /// Move the cursor behind what was told, making it if it is missing
    #[arg(long, requires = "cursor")]
    pub commit: bool,
    /// Go on as more happens
    #[arg(short, long)]
    pub follow: bool,
    /// One JSON object a commit and line, commits with nothing in them included
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "With `--store`, the store is made there and stays; the directory must be missing or \
    empty. Without, it is made in a temporary directory and removed at the end."
)]
pub struct TourArgs {
    /// The directory to take in; without it, the source tree of ossicle, or the current directory
    pub directory: Option<PathBuf>,
    /// Keep the temporary directory
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The backup is the store as it was at one commit, whole, and is itself a store: `ossicle --store \
    TARGET ls` shows what is in it. Stopped by Ctrl-C, by an error or by a full disk, it leaves the backup before as \
    it was; run it again. While a program has the store open, it is backed up by that program."
)]
pub struct BackupArgs {
    /// The directory of the store
    pub source: PathBuf,
    /// Where to: missing, empty, or with an earlier backup of the same store
    pub target: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreBackupArgs {
    /// The directory of the backup
    pub backup: PathBuf,
    /// Where to: missing or empty
    pub target: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "What is lost, and what could be saved only as it was before, is listed by name, with the damaged \
    files. The exit code is 0 if nothing is missing as far as that can be told, and 1 otherwise."
)]
pub struct SalvageArgs {
    /// The directory of the damaged store
    pub damaged: PathBuf,
    /// Where to: missing or empty
    pub target: PathBuf,
}

/// A range of bytes as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// From this byte to that one, which is included.
    Between(u64, u64),
    /// From this byte on.
    From(u64),
    /// The last so many.
    Last(u64),
}

fn span(text: &str) -> Result<Span, String> {
    let wrong = || format!("`{text}` is no range of bytes: write `0-99`, `100-` or `-100`");
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
    match text.split_once('-').ok_or_else(wrong)? {
        ("", last) => Ok(Span::Last(number(last)?)),
        (from, "") => Ok(Span::From(number(from)?)),
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            if from > to { Err(wrong()) } else { Ok(Span::Between(from, to)) }
        }
    }
}

fn versioning(text: &str) -> Result<crate::Versioning, String> {
    match text {
        "enabled" => Ok(crate::Versioning::Enabled),
        "suspended" => Ok(crate::Versioning::Suspended),
        _ => Err("write `enabled` or `suspended`".to_string()),
    }
}

fn monitor(text: &str) -> Result<crate::AccessMonitor, String> {
    match text {
        "enabled" => Ok(crate::AccessMonitor::Enabled),
        "disabled" => Ok(crate::AccessMonitor::Disabled),
        _ => Err("write `enabled` or `disabled`".to_string()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is no pair: write `name=value`"))?;
    Ok((name.to_string(), value.to_string()))
}

/// How many files are worked on at once if nothing is said.
pub fn jobs(asked: Option<u16>) -> usize {
    let processors = || std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
    asked.map_or_else(processors, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Invocation::command().debug_assert();
    }

    #[test]
    fn ranges_are_read_as_people_write_them() {
        assert_eq!(span("0-99"), Ok(Span::Between(0, 99)));
        assert_eq!(span("100-"), Ok(Span::From(100)));
        assert_eq!(span("-100"), Ok(Span::Last(100)));
        for wrong in ["", "-", "5", "9-3", "a-b", "1-2-3"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
