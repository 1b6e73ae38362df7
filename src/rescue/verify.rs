//! Verification: reads everything there is and says what is wrong, without changing anything.

use crate::engine::View;
use crate::engine::proposal::ledger::ENGINE_SPACE;
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result, in_report};
use crate::format::commit::Position;
use crate::format::segment_header::SegmentKind;
use crate::segment::{End, Scan, Segment};

/// How much of a body is read at once.
const READ_STEP: u64 = 4 << 20;

/// The most problems that a report keeps; more are only counted.
const PROBLEMS: usize = 1000;

/// What a verification has read and found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Index pages read.
    pub pages: u64,
    /// Entries read.
    pub entries: u64,
    /// Bytes of bodies read.
    pub body_bytes: u64,
    /// Log records read.
    pub records: u64,
    /// What is wrong, the first thousand of it.
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problem_count: u64,
    /// Whether the verification was stopped by its caller.
    pub stopped: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The key that is affected, if one is known.
    pub key: Option<Vec<u8>>,
    /// What is wrong, and where.
    pub reason: String,
}

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Index pages read so far.
    pub pages: u64,
    /// Entries read so far.
    pub entries: u64,
    /// Bytes of bodies read so far.
    pub body_bytes: u64,
    /// Log records read so far.
    pub records: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong and everything was read.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0 && !self.stopped
    }

    pub(crate) fn note(&mut self, key: Option<&[u8]>, reason: impl ToString) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem {
                key: key.map(<[u8]>::to_vec),
                reason: in_report(&reason.to_string()).to_string(),
            });
        }
    }

    fn progress(&self) -> VerifyProgress {
        let VerifyReport { pages, entries, body_bytes, records, .. } = *self;
        VerifyProgress { pages, entries, body_bytes, records }
    }
}

/// Looks at an entry with the catalog's eyes: its key, what is stored, the BLAKE3 of its body. Says what is wrong.
pub type Check<'a> = dyn FnMut(&[u8], &crate::engine::Stored<'_>, Option<&[u8; 32]>) -> Option<String> + 'a;

/// Damage is noted and the walk goes on; any other failure ends it.
fn noted<T>(report: &mut VerifyReport, key: Option<&[u8]>, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io) => {
            report.note(key, error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Engine {
    /// Reads every page, every record of the log and every body in one view. `check` looks at each entry;
    /// `progress` is told how far it is and says whether to go on.
    pub fn verify(
        &self,
        check: &mut Check<'_>,
        progress: &mut dyn FnMut(VerifyProgress) -> bool,
    ) -> Result<VerifyReport> {
        self.check_open()?;
        self.refuse_inside_turn()?;
        let view = self.pin();
        read_all(&view, self.read_only, &mut || self.writer.lock().log.end(), check, progress)
    }
}

/// Reads all of a view whose log ends at `end`; `beside` says whether somebody else may write behind that place.
pub fn read_all(
    view: &View,
    beside: bool,
    end: &mut dyn FnMut() -> Position,
    check: &mut Check<'_>,
    progress: &mut dyn FnMut(VerifyProgress) -> bool,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let tree =
        view.index.tree.verify(&mut |pages| progress(VerifyProgress { pages, ..Default::default() }))?;
    report.pages = tree.pages;
    report.stopped = !tree.complete;
    for problem in &tree.problems {
        report.note(None, Error::corrupt(&problem.file, problem.offset, &problem.reason));
    }
    if !report.stopped {
        verify_entries(view, &mut report, check, progress)?;
    }
    for segment in view.segments.iter() {
        if report.stopped {
            break;
        }
        let end = (segment.header.kind == SegmentKind::Log).then(&mut *end);
        if beside && end.is_some_and(|end| segment.id() > end.segment) {
            // A writer beside this reader may be in the middle of it.
            continue;
        }
        let limit = end.filter(|end| end.segment == segment.id()).map(|end| end.offset);
        verify_segment(segment, limit, &mut report, progress)?;
    }
    Ok(report)
}

fn verify_entries(
    view: &View,
    report: &mut VerifyReport,
    check: &mut Check<'_>,
    progress: &mut dyn FnMut(VerifyProgress) -> bool,
) -> Result<()> {
    let mut cursor = view.index.cursor();
    let begun = cursor.seek(&[ENGINE_SPACE + 1]);
    if noted(report, None, begun)?.is_none() {
        return Ok(());
    }
    while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
        report.entries += 1;
        let item = cursor.item();
        let read = item.and_then(|item| {
            let item = item.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
            let stored = view.stored(&item)?;
            let (bytes, hash) = verify_body(view, &crate::engine::OwnedBody::of(&stored.body))?;
            Ok((bytes, check(&key, &stored, hash.as_ref())))
        });
        if let Some((bytes, wrong)) = noted(report, Some(&key), read)? {
            report.body_bytes += bytes;
            wrong.into_iter().for_each(|reason| report.note(Some(&key), reason));
        }
        if !progress(report.progress()) {
            report.stopped = true;
            return Ok(());
        }
        let next = cursor.next();
        if noted(report, None, next)?.is_none() {
            // Behind a page that cannot be read nothing can be reached in order; the tree walk above has
            // named it.
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a body; its length in segments and the BLAKE3 of all of it.
fn verify_body(view: &View, body: &crate::engine::OwnedBody) -> Result<(u64, Option<[u8; 32]>)> {
    if let crate::engine::OwnedBody::Shared(shared) = body {
        crate::engine::view::view::pieces(view, shared.blob, shared.end())?;
        return Ok((0, None));
    }
    let mut bytes = 0;
    let mut hasher = blake3::Hasher::new();
    if let crate::engine::OwnedBody::Inline(inline) = body {
        hasher.update(inline);
    }
    for extent in body.extents() {
        let segment = view.segments.get(extent.segment)?;
        let mut at = 0;
        while at < extent.len {
            let end = extent.len.min(at + READ_STEP);
            hasher.update(&segment.read(extent, at..end)?);
            at = end;
        }
        bytes += extent.len;
    }
    Ok((bytes, Some(*hasher.finalize().as_bytes())))
}

/// Reads the records of a segment. A sealed log segment must end cleanly; bodies that nothing names any
/// more are stepped over.
fn verify_segment(
    segment: &Segment,
    limit: Option<u64>,
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(VerifyProgress) -> bool,
) -> Result<()> {
    let begun = Scan::new(segment, 0, limit);
    let Some(mut scan) = noted(report, None, begun)? else {
        return Ok(());
    };
    loop {
        let at = scan.position();
        let next = scan.next(false).map(|step| step.map(|_| ()));
        match noted(report, None, next)? {
            Some(Ok(())) => report.records += 1,
            Some(Err(End::Bad(reason))) if segment.header.kind == SegmentKind::Log => {
                report.note(None, segment.corrupt(at, reason));
                return Ok(());
            }
            Some(Err(_)) | None => return Ok(()),
        }
        if !progress(report.progress()) {
            report.stopped = true;
            return Ok(());
        }
    }
}
