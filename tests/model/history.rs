//! Random histories: what is called.

use ossicle::{Acl, RestorePriority, RetentionMode, StorageClass, Versioning};
use proptest::prelude::*;
use proptest::sample::select;

mod things;

use crate::reference::{Change, Range};
pub use things::*;

/// A step of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    Put(Spot, Body, Extras),
    Delete(Spot, Pick, Tag),
    Undelete(Spot),
    RestoreVersion(Spot, Pick),
    Copy(Spot, Spot, Extras),
    Rename(Spot, Spot, Extras),
    Get(Spot, Asked),
    Head(Spot, Asked),
    Exists(Spot),
    Append(Spot, Where, Body, Extras),
    Symlink(Spot, Spot, Extras),
    DeletePrefix(usize, String),
    List(usize, Lines),
    /// And puts something into it.
    CreateBucket(usize),
    /// The same unless it is there.
    CreateBucketIfMissing(usize),
    DeleteBucket(usize),
    PutRow(RowAt, usize),
    DeleteRow(RowAt),
    Row(RowAt),
    /// The rows from one key on, before another, from the back.
    Rows(RowAt, Option<Vec<u8>>, bool),
}

impl Step {
    fn spots(&mut self) -> Vec<&mut Spot> {
        match self {
            Step::Put(at, ..)
            | Step::Delete(at, ..)
            | Step::Undelete(at)
            | Step::RestoreVersion(at, _)
            | Step::Get(at, _)
            | Step::Head(at, _)
            | Step::Append(at, ..)
            | Step::Exists(at) => vec![at],
            Step::Copy(from, to, _) | Step::Rename(from, to, _) | Step::Symlink(from, to, _) => {
                vec![from, to]
            }
            Step::DeletePrefix(..) | Step::List(..) | Step::CreateBucket(_) => Vec::new(),
            Step::CreateBucketIfMissing(_) | Step::DeleteBucket(_) => Vec::new(),
            Step::PutRow(..) | Step::DeleteRow(_) | Step::Row(_) | Step::Rows(..) => Vec::new(),
        }
    }
}

/// What a copy carries, most often nothing.
fn milder() -> impl Strategy<Value = Extras> {
    prop_oneof![3 => Just(Extras::default()), 1 => extras()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (spot(), body(), extras()).prop_map(|(at, body, extras)| Step::Put(at, body, extras)),
        3 => (spot(), pick(), tag()).prop_map(|(at, pick, tag)| Step::Delete(at, pick, tag)),
        1 => spot().prop_map(Step::Undelete),
        1 => (spot(), pick()).prop_map(|(at, pick)| Step::RestoreVersion(at, pick)),
        2 => (spot(), spot(), milder()).prop_map(|(from, to, extras)| Step::Copy(from, to, extras)),
        3 => (spot(), spot(), milder()).prop_map(|(from, to, extras)| Step::Rename(from, to, extras)),
        2 => (spot(), asked()).prop_map(|(at, asked)| Step::Get(at, asked)),
        1 => (spot(), asked()).prop_map(|(at, asked)| Step::Head(at, asked)),
        1 => spot().prop_map(Step::Exists),
        4 => (spot(), place(), body(), milder())
            .prop_map(|(at, place, body, extras)| Step::Append(at, place, body, extras)),
        1 => (spot(), spot(), extras()).prop_map(|(at, to, extras)| Step::Symlink(at, to, extras)),
        2 => (0..BUCKETS.len(), prefix()).prop_map(|(at, prefix)| Step::DeletePrefix(at, prefix)),
        3 => (0..BUCKETS.len(), lines()).prop_map(|(at, lines)| Step::List(at, lines)),
        1 => (0..BUCKETS.len()).prop_map(Step::CreateBucket),
        1 => (0..BUCKETS.len()).prop_map(Step::CreateBucketIfMissing),
        1 => (0..BUCKETS.len()).prop_map(Step::DeleteBucket),
        3 => (row_at(), row_len()).prop_map(|(at, len)| Step::PutRow(at, len)),
        1 => row_at().prop_map(Step::DeleteRow),
        1 => row_at().prop_map(Step::Row),
        2 => rows().prop_map(|(from, end, back)| Step::Rows(from, end, back)),
    ]
}

/// How a store is closed and opened again.
#[derive(Clone, Copy, Debug)]
pub enum Reopening {
    Closed,
    Dropped,
    /// With the index files removed.
    WithoutIndex,
    /// With the index made anew on request.
    Rebuilt,
    /// Looked at for reading only in between.
    ReadOnly,
}

/// Which parts an upload is completed with.
#[derive(Clone, Copy, Debug)]
pub enum Completing {
    /// Whatever there is, without a list.
    All,
    Listed,
    EverySecond,
    Reversed,
    /// One more than there are.
    Missing,
    Wrong,
    Nothing,
}

/// One call, or a few that belong together.
#[derive(Clone, Debug)]
pub enum Op {
    CreateBucket(usize),
    CreateBucketIfMissing(usize),
    CreateBucketWith(usize, Option<Versioning>, Option<StorageClass>),
    DeleteBucket(usize),
    /// From the first to the second.
    Fork(usize, usize),
    SetVersioning(usize, Option<Versioning>),
    /// So many objects and bytes more than there are.
    SetQuota(usize, (Option<i64>, Option<i64>)),
    SetAcl(usize, Acl),
    Configs(usize, bool),
    DeletePrefix(usize, String),
    UndeletePrefix(usize, String),
    RenamePrefix(usize, String, String),
    Diff(usize, usize),
    /// At a moment of the past, by its commit or by its time.
    LookBack(usize, bool),
    Put(Spot, Body, How, Extras),
    /// As many small objects as fill the memory of changes, so that checkpoints happen.
    PutMany(usize, u32, u32),
    Get(Spot, Asked),
    Head(Spot, Asked),
    Exists(Spot),
    Delete(Spot, Pick, Tag),
    DeleteMany(usize, Vec<String>),
    Copy(Spot, Pick, Spot, Tag, Extras),
    Rename(Spot, String, Extras),
    List(usize, Lines),
    Pages(usize, Lines),
    /// Behind a version of the key that the listing starts after.
    Versions(usize, Lines, Pick),
    VersionPages(usize, Lines),
    /// Every version of an object.
    Chain(Spot),
    Undelete(Spot),
    RestoreVersion(Spot, Pick),
    /// A frozen body, for so many days, so urgently.
    Restore(Spot, Pick, Option<u32>, Option<RestorePriority>),
    DeleteVersions(usize, Vec<(String, Pick)>),
    /// Of this version, if its entity tag is so, and perhaps although governance retains it.
    Set(Spot, Pick, Tag, bool, Change),
    /// What a version carries, asked for one by one.
    Carried(Spot, Pick),
    Append(Spot, Where, Body, Extras),
    /// Reads an object that grows, from a place on.
    Follow(Spot, Where),
    /// From the first to the second.
    Symlink(Spot, Spot, Extras),
    Usage(Spot),
    Row(RowAt),
    /// The rows from one key on, before another, from the back.
    Rows(RowAt, Option<Vec<u8>>, bool),
    Transaction {
        steps: Vec<Step>,
        forgives: bool,
        fails: bool,
        synced: bool,
    },
    Upload(Spot, Extras),
    /// Of the upload in this place: the number, and what it is.
    PutPart(usize, u32, Body),
    CopyPart(usize, u32, Spot, Option<Range>),
    Parts(usize),
    Complete(usize, Completing),
    Abort(usize),
    Uploads(usize, String),
    /// Reads what is new in the change feed.
    Changes,
    /// Sets a cursor so many commits back, perhaps in a transaction, or removes it.
    Cursor(usize, Option<i64>, bool),
    Snapshot,
    LookAtSnapshot(usize),
    DropSnapshot(usize),
    /// Gets an object and keeps it; it is read whole at `ReadHeld`, whatever happened since.
    Hold(Spot),
    ReadHeld,
    Checkpoint,
    Flush,
    Maintain,
    Compact(u8),
    Verify,
    LookAtAll,
    Reopen(Reopening),
    Advance(u64),
}

impl Op {
    /// The places that it is about.
    pub fn spots(&mut self) -> Vec<&mut Spot> {
        match self {
            Op::Put(at, ..)
            | Op::Get(at, _)
            | Op::Head(at, _)
            | Op::Exists(at)
            | Op::Delete(at, ..)
            | Op::Rename(at, ..)
            | Op::Chain(at)
            | Op::Undelete(at)
            | Op::RestoreVersion(at, _)
            | Op::Restore(at, ..)
            | Op::Set(at, ..)
            | Op::Carried(at, _)
            | Op::Append(at, ..)
            | Op::Follow(at, _)
            | Op::Usage(at)
            | Op::Upload(at, _)
            | Op::CopyPart(_, _, at, _)
            | Op::Hold(at) => vec![at],
            Op::Copy(from, _, to, ..) | Op::Symlink(from, to, _) => vec![from, to],
            Op::Transaction { steps, .. } => steps.iter_mut().flat_map(Step::spots).collect(),
            _ => Vec::new(),
        }
    }

    /// What its writes carry.
    pub fn extras(&mut self) -> Vec<&mut Extras> {
        match self {
            Op::Put(_, _, _, extras)
            | Op::Copy(_, _, _, _, extras)
            | Op::Rename(_, _, extras)
            | Op::Append(_, _, _, extras)
            | Op::Symlink(_, _, extras)
            | Op::Upload(_, extras) => vec![extras],
            Op::Transaction { steps, .. } => steps
                .iter_mut()
                .filter_map(|step| match step {
                    Step::Put(_, _, extras)
                    | Step::Copy(_, _, extras)
                    | Step::Append(_, _, _, extras)
                    | Step::Symlink(_, _, extras) => Some(extras),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What is called.
    pub fn name(&self) -> String {
        struct Word(String);
        impl std::fmt::Write for Word {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.push_str(text);
                // The name comes first, and no more is asked for.
                Err(std::fmt::Error)
            }
        }
        let mut word = Word(String::new());
        let _ = std::fmt::write(&mut word, format_args!("{self:?}"));
        word.0
    }

    /// Whether maintenance may have to commit something after it: a body may come under another key, as that of a version
    /// does which is no more the current one, or a prefix, a fork or an upload is left to be cleaned up.
    pub fn leaves_work(&self) -> bool {
        // A body goes to the tier of its class.
        if self.clone().extras().iter().any(|extras| extras.class.is_some()) {
            return true;
        }
        match self {
            Op::Set(_, _, _, _, Change::Class(_)) => true,
            Op::SetVersioning(..) | Op::CreateBucketWith(..) | Op::Upload(..) | Op::Append(..) => true,
            Op::Rename(..) | Op::Fork(..) | Op::DeletePrefix(..) | Op::RenamePrefix(..) => true,
            // A body that several rows share has a key of its own from then on.
            Op::Copy(..) | Op::RestoreVersion(..) => true,
            Op::Transaction { steps, .. } => steps.iter().any(|step| {
                let moves = matches!(step, Step::Rename(..) | Step::Copy(..) | Step::RestoreVersion(..));
                moves || matches!(step, Step::Append(..) | Step::DeletePrefix(..))
            }),
            _ => false,
        }
    }
}

fn objects() -> impl Strategy<Value = Op> {
    let how = prop_oneof![
        Just(How::Borrowed),
        Just(How::Owned),
        Just(How::Reader),
        (1usize..9000).prop_map(How::Writer)
    ];
    let days = prop::option::weighted(0.5, select(&[0u32, 1, 1, 2, 7, 8, 365, 366][..]));
    prop_oneof![
        30 => (spot(), body(), how, extras()).prop_map(|(at, body, how, extras)| Op::Put(at, body, how, extras)),
        12 => (spot(), asked()).prop_map(|(at, asked)| Op::Get(at, asked)),
        4 => (spot(), asked()).prop_map(|(at, asked)| Op::Head(at, asked)),
        3 => spot().prop_map(Op::Exists),
        10 => (spot(), pick(), tag()).prop_map(|(at, pick, tag)| Op::Delete(at, pick, tag)),
        2 => (bucket(), prop::collection::vec(key(), 0..12)).prop_map(|(at, keys)| Op::DeleteMany(at, keys)),
        4 => (spot(), pick(), spot(), tag(), extras())
            .prop_map(|(from, pick, to, tag, extras)| Op::Copy(from, pick, to, tag, extras)),
        4 => (spot(), key(), extras()).prop_map(|(from, to, extras)| Op::Rename(from, to, extras)),
        8 => (bucket(), lines()).prop_map(|(at, lines)| Op::List(at, lines)),
        2 => (bucket(), lines()).prop_map(|(at, lines)| Op::Pages(at, lines)),
        4 => spot().prop_map(Op::Usage),
        4 => (bucket(), lines(), pick()).prop_map(|(at, lines, pick)| Op::Versions(at, lines, pick)),
        2 => (bucket(), lines()).prop_map(|(at, lines)| Op::VersionPages(at, lines)),
        2 => spot().prop_map(Op::Chain),
        4 => spot().prop_map(Op::Undelete),
        9 => (spot(), pick(), unless_wrong(), any::<bool>(), change())
            .prop_map(|(at, pick, tag, bypass, change)| Op::Set(at, pick, tag, bypass, change)),
        2 => (spot(), pick()).prop_map(|(at, pick)| Op::Carried(at, pick)),
        10 => (spot(), place(), body(), extras())
            .prop_map(|(at, place, body, extras)| Op::Append(at, place, body, extras)),
        1 => (spot(), place()).prop_map(|(at, place)| Op::Follow(at, place)),
        4 => (spot(), spot(), extras()).prop_map(|(at, to, extras)| Op::Symlink(at, to, extras)),
        3 => (spot(), 0usize..6).prop_map(|(at, nth)| Op::RestoreVersion(at, Pick::Nth(nth))),
        8 => (spot(), pick(), days, prop::option::weighted(0.4, select(&RestorePriority::ALL[..])))
            .prop_map(|(at, pick, days, priority)| Op::Restore(at, pick, days, priority)),
        1 => (bucket(), prop::collection::vec((key(), pick()), 0..8))
            .prop_map(|(at, versions)| Op::DeleteVersions(at, versions)),
    ]
}

/// Where an append goes to.
#[derive(Clone, Copy, Debug)]
pub enum Where {
    End,
    /// So many bytes from there.
    Off(i64),
    Start,
}

fn place() -> impl Strategy<Value = Where> {
    prop_oneof![12 => Just(Where::End), 1 => (-2i64..3).prop_map(Where::Off), 1 => Just(Where::Start)]
}

fn unless_wrong() -> impl Strategy<Value = Tag> {
    prop_oneof![10 => Just(Tag::None), 1 => tag()]
}

fn change() -> impl Strategy<Value = Change> {
    // Short, so that most of them are over before the history is.
    let millis = prop_oneof![1 => -1i64..2, 6 => 0i64..4000];
    let retention = (select(&[RetentionMode::Governance, RetentionMode::Compliance][..]), millis);
    prop_oneof![
        4 => tags().prop_map(Change::Tags),
        1 => Just(Change::Tags(Vec::new())),
        3 => prop::option::weighted(0.8, acl()).prop_map(Change::Acl),
        3 => metadata().prop_map(|pairs| Change::Metadata(pairs.unwrap_or_default())),
        2 => content_type().prop_map(|text| Change::ContentType(text.unwrap_or_default())),
        3 => headers().prop_map(Change::Headers),
        3 => class().prop_map(Change::Class),
        4 => prop::option::weighted(0.8, retention).prop_map(Change::Retention),
        // Lifted more often than laid.
        4 => prop::bool::weighted(0.2).prop_map(Change::Hold),
    ]
}

fn uploads() -> impl Strategy<Value = Op> {
    let at = || prop_oneof![4 => Just(0usize), 1 => 0usize..3];
    let number = || prop_oneof![20 => 1u32..5, 1 => select(&[0u32, 10_000, 10_001][..])];
    let len = select(&[0usize, 3000, 102_399, 102_400, 102_400, 102_400, 102_401, 110_000][..]);
    let part = (len, 0u8..4).prop_map(|(len, seed)| Body { len, seed });
    let range =
        prop_oneof![2 => Just(None), 1 => (edge(), edge()).prop_map(|(a, b)| Some(Range::Span(a, b)))];
    use Completing::{All, EverySecond, Listed, Missing, Nothing, Reversed, Wrong};
    let completing = select(&[All, All, Listed, Listed, EverySecond, Reversed, Missing, Wrong, Nothing][..]);
    prop_oneof![
        3 => (spot(), extras()).prop_map(|(at, extras)| Op::Upload(at, extras)),
        16 => (at(), number(), part).prop_map(|(at, number, body)| Op::PutPart(at, number, body)),
        3 => (at(), number(), spot(), range).prop_map(|(at, number, from, range)| Op::CopyPart(at, number, from, range)),
        3 => at().prop_map(Op::Parts),
        6 => (at(), completing).prop_map(|(at, which)| Op::Complete(at, which)),
        1 => at().prop_map(Op::Abort),
        2 => (bucket(), list_text()).prop_map(|(at, prefix)| Op::Uploads(at, prefix)),
    ]
}

fn spaces() -> impl Strategy<Value = Op> {
    let versioning = || select(&[Versioning::Enabled, Versioning::Enabled, Versioning::Suspended][..]);
    let more = || prop::option::weighted(0.3, prop_oneof![Just(0i64), 0i64..5, -3i64..20_000]);
    let name = || 0usize..BUCKETS.len();
    prop_oneof![
        3 => name().prop_map(Op::CreateBucket),
        2 => name().prop_map(Op::CreateBucketIfMissing),
        1 => (name(), prop::option::of(versioning()), prop::option::of(class()))
            .prop_map(|(at, versioning, class)| Op::CreateBucketWith(at, versioning, class)),
        4 => name().prop_map(Op::DeleteBucket),
        5 => (bucket(), 2usize..VALID).prop_map(|(from, to)| Op::Fork(from, to)),
        1 => (name(), name()).prop_map(|(from, to)| Op::Fork(from, to)),
        4 => (bucket(), prop::option::weighted(0.9, versioning()))
            .prop_map(|(at, versioning)| Op::SetVersioning(at, versioning)),
        3 => (bucket(), (more(), more())).prop_map(|(at, more)| Op::SetQuota(at, more)),
        3 => bucket().prop_map(|at| Op::SetQuota(at, (None, None))),
        1 => (bucket(), select(&[Acl::Private, Acl::PublicRead][..])).prop_map(|(at, acl)| Op::SetAcl(at, acl)),
        3 => (bucket(), prop::bool::weighted(0.1)).prop_map(|(at, stale)| Op::Configs(at, stale)),
        5 => (bucket(), prefix()).prop_map(|(at, prefix)| Op::DeletePrefix(at, prefix)),
        4 => (bucket(), prefix()).prop_map(|(at, prefix)| Op::UndeletePrefix(at, prefix)),
        8 => (bucket(), prefix(), prefix()).prop_map(|(at, old, new)| Op::RenamePrefix(at, old, new)),
        4 => (bucket(), bucket()).prop_map(|(before, after)| Op::Diff(before, after)),
        6 => (0usize..8, any::<bool>()).prop_map(|(at, by_time)| Op::LookBack(at, by_time)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let reopening = select(
        &[
            Reopening::Closed,
            Reopening::Dropped,
            Reopening::WithoutIndex,
            Reopening::Rebuilt,
            Reopening::ReadOnly,
        ][..],
    );
    let transaction = (prop::collection::vec(step(), 0..8), any::<bool>(), prop::bool::weighted(0.15));
    let rest = prop_oneof![
        3 => (bucket(), 0u32..400, 1u32..60).prop_map(|(at, from, count)| Op::PutMany(at, from, count)),
        2 => row_at().prop_map(Op::Row),
        4 => rows().prop_map(|(from, end, back)| Op::Rows(from, end, back)),
        20 => (transaction, prop::bool::weighted(0.1)).prop_map(|((steps, forgives, fails), synced)|
            Op::Transaction { steps, forgives, fails, synced }),
        3 => Just(Op::Changes),
        1 => (0usize..4, prop::option::weighted(0.8, -1i64..9), any::<bool>())
            .prop_map(|(name, ago, in_transaction)| Op::Cursor(name, ago, in_transaction)),
        3 => Just(Op::Snapshot),
        3 => (0usize..4).prop_map(Op::LookAtSnapshot),
        2 => (0usize..4).prop_map(Op::DropSnapshot),
        4 => spot().prop_map(Op::Hold),
        2 => Just(Op::ReadHeld),
        3 => Just(Op::Checkpoint),
        2 => Just(Op::Flush),
        3 => Just(Op::Maintain),
        1 => select(&[0u8, 5, 50][..]).prop_map(Op::Compact),
        1 => Just(Op::Verify),
        2 => Just(Op::LookAtAll),
        3 => reopening.prop_map(Op::Reopen),
        4 => (0u64..3000).prop_map(Op::Advance),
        // Until what was restored is frozen again.
        1 => select(&[86_399_000u64, 86_400_000][..]).prop_map(Op::Advance),
    ];
    prop_oneof![18 => objects(), 6 => rest, 4 => spaces(), 2 => uploads()]
}

/// A history of at most `most` calls.
pub fn history(most: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), most / 2..most)
}
