//! Reading a whole tree to see whether all of it is right.

use crate::error::{Error, ErrorKind, Result};
use crate::format::page::{Child, Page, Reason};
use crate::format::weight::Totals;
use crate::index::tree::pages::RootPtr;
use crate::index::tree::space::PageSet;
use crate::index::tree::tree::{Tree, Version};

/// How many problems are kept; more are only counted.
const PROBLEMS: usize = 1000;

/// What a walk over the whole tree has found.
#[derive(Clone, Debug, Default)]
pub struct TreeReport {
    /// How many pages were read.
    pub pages: u64,
    /// How many items they hold.
    pub items: u64,
    /// What is wrong, the first thousand of it.
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problem_count: u64,
    /// Whether the walk went to the end.
    pub complete: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Where in the file the page begins.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl Tree {
    /// Reads every page from the file, whatever was verified before, and checks checksums, order, separators and
    /// totals, and that no page is reached twice. Collects what is wrong and goes on around it. `progress` hears the
    /// number of pages read so far and says whether to go on. Fails only if the file cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64) -> bool) -> Result<TreeReport> {
        let seen = PageSet::default();
        let mut walk =
            Walk { version: &self.0, seen, report: TreeReport::default(), progress, stopped: false };
        if let Some(root) = self.0.root {
            let RootPtr { height, .. } = root;
            walk.page(root.child(), height, &[], None)?;
        }
        walk.report.complete = !walk.stopped;
        Ok(walk.report)
    }
}

struct Walk<'w> {
    version: &'w Version,
    seen: PageSet,
    report: TreeReport,
    progress: &'w mut dyn FnMut(u64) -> bool,
    stopped: bool,
}

impl Walk<'_> {
    /// Checks a subtree and answers its totals, or nothing if they cannot be told.
    fn page(&mut self, child: Child, height: u8, low: &[u8], high: Option<&[u8]>) -> Result<Option<Totals>> {
        let pages = self.version.view.pages();
        if child.page >= pages || !self.seen.insert(child.page) {
            let reason = if child.page >= pages {
                "it lies beyond the end of the file"
            } else {
                "it is reached twice"
            };
            self.problem(child, reason);
            return Ok(None);
        }
        let bytes = match self.version.file.read_raw(child.page) {
            Ok(bytes) => bytes,
            Err(error) => return self.damage(child, error),
        };
        self.report.pages += 1;
        if !(self.progress)(self.report.pages) {
            self.stopped = true;
            return Ok(None);
        }
        if let Err(error) = self.version.file.check(child, &bytes) {
            return self.damage(child, error);
        }
        let checked = Page::open(&bytes, child.page, height)
            .and_then(|page| keys_of(&page, height).map(|keys| (page, keys)));
        let (page, keys) = match checked {
            Ok(checked) => checked,
            Err(reason) => {
                self.problem(child, reason);
                return Ok(None);
            }
        };
        // The first separator of a branch means "below everything" and has no bytes to check.
        let bounded = if height == 0 { &keys[..] } else { &keys[1..] };
        if bounded.first().is_some_and(|key| &key[..] < low || (height > 0 && &key[..] == low)) {
            self.problem(child, "a key lies below the page's separator");
        }
        if bounded.last().is_some_and(|key| high.is_some_and(|high| &key[..] >= high)) {
            self.problem(child, "a key lies above the next page's separator");
        }
        if height == 0 {
            self.leaf(child, &page)
        } else {
            self.branch(child, height, (&page, &keys), low, high)
        }
    }

    fn leaf(&mut self, child: Child, page: &Page<'_>) -> Result<Option<Totals>> {
        let mut totals = Totals::default();
        for index in 0..page.count() {
            match page.leaf(index) {
                Ok(cell) => totals.add(cell.weight),
                Err(reason) => {
                    self.problem(child, reason);
                    return Ok(None);
                }
            }
        }
        self.report.items += page.count() as u64;
        Ok(Some(totals))
    }

    fn branch(
        &mut self,
        child: Child,
        height: u8,
        (page, keys): (&Page<'_>, &[Vec<u8>]),
        low: &[u8],
        high: Option<&[u8]>,
    ) -> Result<Option<Totals>> {
        let mut totals = Totals::default();
        for index in 0..page.count() {
            let (below, said) =
                match page.child(index).and_then(|below| Ok((below, page.child_totals(index)?))) {
                    Ok(cell) => cell,
                    Err(reason) => {
                        self.problem(child, reason);
                        continue;
                    }
                };
            totals.add_all(&said);
            let low = if index == 0 { low } else { &keys[index] };
            let found =
                self.page(below, height - 1, low, keys.get(index + 1).map(|key| &key[..]).or(high))?;
            if self.stopped {
                return Ok(None);
            }
            if found.is_some_and(|found| found != said) {
                self.problem(child, "a subtree's totals are not what the branch says");
            }
        }
        Ok(Some(totals))
    }

    fn damage(&mut self, child: Child, error: Error) -> Result<Option<Totals>> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.problem(child, "it cannot be read, or its checksum does not match its pointer");
        Ok(None)
    }

    fn problem(&mut self, child: Child, reason: &str) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS {
            let (file, offset) =
                (self.version.file.name().to_owned(), child.page.saturating_mul(self.version.file.stride()));
            self.report.problems.push(Problem { file, offset, reason: reason.to_owned() });
        }
    }
}

/// The keys of a page, checked to be in order, and its hints checked.
pub(super) fn keys_of(page: &Page<'_>, height: u8) -> Result<Vec<Vec<u8>>, Reason> {
    let mut keys: Vec<Vec<u8>> = Vec::with_capacity(page.count());
    for index in 0..page.count() {
        let whole = height == 0 || index > 0;
        let key = if whole { [page.prefix(), page.suffix(index)?].concat() } else { Vec::new() };
        if index > 0 && keys[index - 1] >= key && (height == 0 || index > 1 || !key.is_empty()) {
            return Err("keys are not in order");
        }
        if !page.has_right_hint(index)? {
            return Err("a hint does not match its key");
        }
        keys.push(key);
    }
    Ok(keys)
}
