//! How much of the file of pages is there for nothing: free pages, and what is empty in those that are used.

use crate::error::Result;
use crate::format::page::PAGE;
use crate::index::tree::pages::PageFile;
use crate::index::tree::tree::{Tree, Version};

/// How many leaves are looked at: enough to be right within a few percent.
const SAMPLES: u64 = 256;

/// Of a page that is written anew, so much is full at least: what does not fit goes into the next.
const WRITTEN_FULL: u64 = 97;

/// How many pages a file has, and how many it would have if it were written anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Density {
    /// Pages that take room on the disk.
    pub taken: u64,
    /// About how many pages a copy of the newest tree would have.
    pub needed: u64,
}

impl Density {
    /// Whether more than so many percent of what is taken is there for nothing.
    pub fn wastes(&self, percent: u8) -> bool {
        self.taken.saturating_sub(self.needed) * 100 > self.taken * u64::from(percent)
    }
}

impl PageFile {
    /// How dense the file is in which `tree` is the version published last. `allocated` is how many bytes of disk the
    /// file takes: what it has grown by ahead of need takes none.
    pub fn density(&self, tree: &Tree, allocated: u64) -> Result<Density> {
        self.learn(tree.root())?;
        let (pages, used) = {
            let space = self.space.lock();
            (space.pages, space.pages.saturating_sub(space.free() + space.waiting()))
        };
        let full = tree.0.sampled_fill()?;
        let needed = (used * full).div_ceil(PAGE as u64 * WRITTEN_FULL / 100);
        Ok(Density { taken: pages.min(allocated / self.stride()), needed })
    }
}

impl Version {
    /// How many bytes of a leaf are filled on average, of some that are spread over the whole tree.
    fn sampled_fill(&self) -> Result<u64> {
        let Some(root) = self.root else { return Ok(0) };
        let mut filled = 0;
        for sample in 0..SAMPLES {
            // Each sample goes down at its own share of the width of every page.
            let mut share = sample * PAGE as u64 / SAMPLES;
            let mut child = root.child();
            for height in (1..=root.height).rev() {
                let lent = self.read(child)?;
                let page = self.open(&lent, child, height)?;
                let wide = share * page.count() as u64;
                share = wide % PAGE as u64;
                child = page.child((wide / PAGE as u64) as usize).map_err(|why| self.corrupt(child, why))?;
            }
            let lent = self.read(child)?;
            let page = self.open(&lent, child, 0)?;
            filled += page.filled().map_err(|why| self.corrupt(child, why))? as u64;
        }
        Ok(filled / SAMPLES)
    }
}
