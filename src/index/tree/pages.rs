//! The file of pages: reading them verified, writing them in runs, growing the file.

use std::io::{ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;

use super::cache::Cache;
use super::space::{PageSet, Space};
use crate::crypto::{SEAL_LEN, Sealer};
use crate::env::{File, Lent, Map, Site};
use crate::error::{Error, Result};
use crate::format::page::{Child, MAX_HEIGHT, PAGE, Page, Reason, checksum, stored_checksum};

/// How much a file that cannot be mapped caches, though mapping was asked for.
const FALLBACK_CACHE: usize = 4 << 20;

/// How much a file of sealed pages caches if nobody says how much.
const SEALED_CACHE: usize = 32 << 20;

/// The least and the most pages by which the file grows at once.
const GROWTH: (u64, u64) = (64, (16 << 20) / PAGE as u64);

/// How many bytes of pages are gathered before they are written.
const RUN: usize = 512 << 10;

/// How pages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// From a map of the file, in place.
    Map,
    /// By positioned reads, through a cache of this size.
    Positioned {
        /// About how many bytes of pages are kept.
        cache_bytes: usize,
    },
}

/// Where a tree begins; the superblock names it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RootPtr {
    /// The page number of the root.
    pub page: u64,
    /// The checksum that the root page must carry.
    pub checksum: u32,
    /// The height of the root: 0 if it is a leaf.
    pub height: u8,
}

/// A file of pages. One merge runs at a time; any number of readers read beside it.
#[derive(Debug)]
pub struct PageFile {
    pub(in crate::index) file: Arc<dyn File>,
    pub(in crate::index) name: String,
    pub(in crate::index) salt: u32,
    /// Seals the pages, if everything in the store is sealed.
    sealer: Option<Sealer>,
    /// The newest view; versions keep the one that they were made with.
    view: Mutex<Arc<View>>,
    /// Taken after `view` where both are taken.
    pub(in crate::index) space: Mutex<Space>,
    /// Only if pages are not read from a map.
    cache: OnceLock<Cache>,
    /// Whether a page is believed though its parent means another one: a mistake, to test the tests.
    credulous: AtomicBool,
}

/// A map of the file as long as it was at some time, and which of its pages were found whole.
#[derive(Debug)]
pub(in crate::index) struct View {
    map: Option<Map>,
    pages: u64,
    verified: Vec<AtomicU64>,
}

/// What stands for the checksum of a sealed page: the first bytes of its tag, which nobody can choose.
fn sealed_checksum(sealed: &[u8]) -> u32 {
    let tag = sealed.last_chunk::<16>().expect("a sealed page ends with its tag");
    u32::from_le_bytes([tag[0], tag[1], tag[2], tag[3]])
}

fn stride(sealer: Option<&Sealer>) -> u64 {
    (PAGE + sealer.map_or(0, |_| SEAL_LEN)) as u64
}

impl PageFile {
    /// Opens the file of pages. `name` is for error messages; `salt` goes into every checksum. Sealed pages are never
    /// read from a map: what is kept of them is what was opened.
    pub fn open(
        file: Arc<dyn File>,
        name: String,
        salt: u32,
        mode: ReadMode,
        sealer: Option<Sealer>,
    ) -> Result<Arc<PageFile>> {
        let size =
            file.size().map_err(|error| Error::io(format_args!("asking for the size of {name}"), error))?;
        let pages = size / stride(sealer.as_ref());
        let cache = OnceLock::new();
        if let ReadMode::Positioned { cache_bytes } = mode {
            cache.get_or_init(|| Cache::new(cache_bytes));
        } else if sealer.is_some() {
            cache.get_or_init(|| Cache::new(SEALED_CACHE));
        }
        let view = Mutex::new(Arc::new(View { map: None, pages: 0, verified: Vec::new() }));
        let space = Mutex::new(Space::new(pages));
        let credulous = AtomicBool::new(false);
        let opened = PageFile { file, name, salt, sealer, view, space, cache, credulous };
        opened.renew_view()?;
        Ok(Arc::new(opened))
    }

    /// Bytes of the file that a page takes.
    pub fn stride(&self) -> u64 {
        stride(self.sealer.as_ref())
    }

    /// Makes all pages written so far durable. After an error what is durable is not known (I8).
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_data(Site::INDEX_SYNC)
            .map_err(|error| Error::io(format_args!("syncing {}", self.name), error))
    }

    /// From now on a page is believed though its parent means another one: a mistake, to test the tests.
    pub fn believe_all(&self) {
        self.credulous.store(true, Ordering::Relaxed);
    }

    /// Whether the page with this checksum is the one that is meant by one with `meant`.
    fn is_meant(&self, checksum: Option<u32>, meant: u32) -> bool {
        checksum == Some(meant) || self.credulous.load(Ordering::Relaxed)
    }

    /// How many pages the file has.
    pub fn file_pages(&self) -> u64 {
        self.space.lock().pages
    }

    /// How many pages are free to take; 0 until the first merge after opening has learnt it.
    pub fn free_pages(&self) -> u64 {
        let mut space = self.space.lock();
        if space.is_known() {
            space.settle();
        }
        space.free()
    }

    /// The file's name, as in error messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::index) fn view(&self) -> Arc<View> {
        self.view.lock().clone()
    }

    /// Damage in page `number`.
    #[cold]
    pub(in crate::index) fn corrupt(&self, number: u64, reason: Reason) -> Error {
        Error::corrupt(&self.name, number.saturating_mul(self.stride()), reason)
    }

    /// The page that `child` points to. That its checksum is the pointer's is checked every time; that the
    /// checksum is right, on the first touch since it was written or the file was opened (I10).
    #[inline]
    pub(in crate::index) fn read<'v>(&'v self, view: &'v View, child: Child) -> Result<Lent<'v>> {
        let Some(map) = &view.map else {
            return self.read_cached(child);
        };
        let lent = if child.page < view.pages {
            map.lend(child.page * PAGE as u64..(child.page + 1) * PAGE as u64)
        } else {
            None
        };
        let Some(lent) = lent else {
            return Err(self.corrupt(child.page, "a pointer leads to a page beyond the end of the file"));
        };
        if !view.is_verified(child.page) {
            self.touch_first(view, child, &lent)?;
        }
        if !self.is_meant(stored_checksum(&lent), child.checksum) {
            return Err(self.corrupt(child.page, "the page is not the one that was written last"));
        }
        Ok(lent)
    }

    /// A bad sector under a map is a signal that kills the process, and under a read it is an error. So the page is
    /// read before it is touched.
    #[cold]
    fn touch_first(&self, view: &View, child: Child, lent: &[u8]) -> Result<()> {
        self.read_raw(child.page)?;
        self.check(child, lent)?;
        view.set_verified(child.page);
        Ok(())
    }

    fn read_cached(&self, child: Child) -> Result<Lent<'_>> {
        if let Some(bytes) = self.cache.get().and_then(|cache| cache.get(child.page))
            && self.is_meant(stored_checksum(&bytes), child.checksum)
        {
            return Ok(Lent::Owned(bytes));
        }
        let bytes = self.read_raw(child.page)?;
        self.check(child, &bytes[..])?;
        let bytes = Bytes::copy_from_slice(&bytes[..]);
        if let Some(cache) = self.cache.get() {
            cache.insert(child.page, bytes.clone());
        }
        Ok(Lent::Owned(bytes))
    }

    /// The bytes of a page as they lie in the file; of a sealed one, what is in it.
    pub(in crate::index) fn read_raw(&self, number: u64) -> Result<[u8; PAGE]> {
        let mut room = [0; PAGE + SEAL_LEN];
        let stride = self.stride();
        let bytes = &mut room[..stride as usize];
        let Some(offset) = number.checked_mul(stride).filter(|at| *at <= i64::MAX as u64 - stride) else {
            return Err(self.corrupt(number, "a pointer leads to a page beyond the end of the file"));
        };
        match self.file.read_exact_at(bytes, offset, Site::INDEX_READ) {
            Ok(()) => self.unseal(number, bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(self.corrupt(number, "a pointer leads to a page beyond the end of the file"))
            }
            Err(error) => Err(Error::io(format_args!("reading page {number} of {}", self.name), error)),
        }
    }

    /// The page in the bytes that were read for it. A sealed one has the beginning of its tag for a checksum: its parent
    /// has the same, so an older page of the same place is not taken for it.
    fn unseal(&self, number: u64, bytes: &mut [u8]) -> Result<[u8; PAGE]> {
        let Some(sealer) = &self.sealer else {
            return Ok(<[u8; PAGE]>::try_from(&*bytes).expect("as long as a page"));
        };
        let checksum = sealed_checksum(bytes);
        let opened = sealer.open(&number.to_le_bytes(), bytes);
        let opened =
            opened.map_err(|_| self.corrupt(number, "the page does not open with the store's key"))?;
        let mut page = <[u8; PAGE]>::try_from(&*opened).expect("as long as a page");
        page[..4].copy_from_slice(&checksum.to_le_bytes());
        Ok(page)
    }

    /// Whether the page is whole and the one that the pointer means.
    pub(in crate::index) fn check(&self, child: Child, bytes: &[u8]) -> Result<()> {
        let Ok(bytes) = <&[u8; PAGE]>::try_from(bytes) else {
            return Err(self.corrupt(child.page, "a page is cut short"));
        };
        // What was sealed was verified when it was opened.
        if (self.sealer.is_none()
            && !self.is_meant(Some(checksum(bytes, self.salt, child.page)), child.checksum))
            || !self.is_meant(stored_checksum(bytes), child.checksum)
        {
            return Err(self.corrupt(child.page, "the checksum of a page does not match its pointer"));
        }
        Ok(())
    }

    /// Walks the branches of the tree to learn which pages are in use, unless that is known already. Leaves are
    /// not read: their parents name them.
    pub(in crate::index) fn learn(&self, root: Option<RootPtr>) -> Result<()> {
        let pages = {
            let mut space = self.space.lock();
            if space.is_known() {
                space.settle();
                return Ok(());
            }
            space.pages
        };
        let mut used = PageSet::default();
        let view = self.view();
        let mut open = Vec::new();
        if let Some(root) = root {
            open.push((Child { page: root.page, checksum: root.checksum }, root.height));
        }
        while let Some((child, height)) = open.pop() {
            if child.page >= pages {
                return Err(self.corrupt(child.page, "a pointer leads to a page beyond the end of the file"));
            }
            if !used.insert(child.page) {
                return Err(self.corrupt(child.page, "two pointers lead to the same page"));
            }
            if height > 0 {
                let lent = self.read(&view, child)?;
                let page =
                    Page::open(&lent, child.page, height).map_err(|why| self.corrupt(child.page, why))?;
                for index in 0..page.count() {
                    let below = page.child(index).map_err(|why| self.corrupt(child.page, why))?;
                    open.push((below, height - 1));
                }
            }
        }
        self.space.lock().learn(used);
        Ok(())
    }

    /// A free page, now taken. The file grows if there is none.
    fn take(&self) -> Result<u64> {
        let mut space = self.space.lock();
        loop {
            if let Some(page) = space.take() {
                return Ok(page);
            }
            let pages = space.pages + (space.pages / 16).clamp(GROWTH.0, GROWTH.1);
            self.file
                .set_len(pages * self.stride(), Site::INDEX_OPEN)
                .map_err(|error| Error::io(format_args!("growing {}", self.name), error))?;
            space.grown(pages);
        }
    }

    /// Renews the view if the file has grown beyond it. Older versions keep theirs.
    pub(in crate::index) fn renew_view(&self) -> Result<Arc<View>> {
        let pages = self.file_pages();
        let mut view = self.view.lock();
        if view.pages < pages {
            let renewed = match self.map()? {
                Some(map) => View::of(map),
                None => View { map: None, pages, verified: Vec::new() },
            };
            for (new, old) in renewed.verified.iter().zip(&view.verified) {
                new.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            *view = Arc::new(renewed);
        }
        Ok(view.clone())
    }

    /// A map of the whole file, unless it is read by positioned reads. A file that cannot be mapped is, from then on.
    fn map(&self) -> Result<Option<Map>> {
        if self.cache.get().is_some() {
            return Ok(None);
        }
        match self.file.map(Site::INDEX_OPEN) {
            Ok(map) => Ok(Some(map)),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.cache.get_or_init(|| Cache::new(FALLBACK_CACHE));
                Ok(None)
            }
            Err(error) => Err(Error::io(format_args!("mapping {}", self.name), error)),
        }
    }

    /// Forgets what is known of pages that were written anew.
    fn forget(&self, pages: std::ops::Range<u64>) {
        let view = self.view();
        for page in pages {
            view.clear_verified(page);
            if let Some(cache) = self.cache.get() {
                cache.remove(page);
            }
        }
    }
}

impl View {
    fn of(map: Map) -> View {
        let pages = map.len() / PAGE as u64;
        let verified = (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        View { map: Some(map), pages, verified }
    }

    /// How many pages can be read through it.
    pub(in crate::index) fn pages(&self) -> u64 {
        self.pages
    }

    // Relaxed will do for the bits: they guard no memory. A lost bit costs a second verification.

    #[inline]
    fn is_verified(&self, page: u64) -> bool {
        let word = self.verified.get((page / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & 1 << (page % 64) != 0)
    }

    fn set_verified(&self, page: u64) {
        if let Some(word) = self.verified.get((page / 64) as usize) {
            word.fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
    }

    fn clear_verified(&self, page: u64) {
        if let Some(word) = self.verified.get((page / 64) as usize) {
            word.fetch_and(!(1 << (page % 64)), Ordering::Relaxed);
        }
    }
}

/// Writes new pages, neighbours in the file together.
#[derive(Debug)]
pub(in crate::index) struct Writer<'f> {
    file: &'f PageFile,
    start: u64,
    run: Vec<u8>,
    /// Every page taken so far.
    pub(in crate::index) taken: Vec<u64>,
}

impl<'f> Writer<'f> {
    pub(in crate::index) fn new(file: &'f PageFile) -> Writer<'f> {
        Writer { file, start: 0, run: Vec::new(), taken: Vec::new() }
    }

    /// The salt of the file it writes to.
    pub(in crate::index) fn salt(&self) -> u32 {
        self.file.salt
    }

    /// Takes a page and lets `fill` write its bytes; `fill` answers its checksum.
    pub(in crate::index) fn page(
        &mut self,
        height: u8,
        fill: impl FnOnce(u64, &mut [u8; PAGE]) -> u32,
    ) -> Result<Child> {
        if height > MAX_HEIGHT {
            return Err(self.file.corrupt(0, "the tree would be higher than a tree may be"));
        }
        let page = self.file.take()?;
        self.taken.push(page);
        let end = self.start + self.run.len() as u64 / self.file.stride();
        if self.run.len() >= RUN || page != end {
            self.flush()?;
        }
        if self.run.is_empty() {
            self.start = page;
        }
        let mut bytes = [0; PAGE];
        let mut checksum = fill(page, &mut bytes);
        let from = self.run.len();
        self.run.extend_from_slice(&bytes);
        if let Some(sealer) = &self.file.sealer {
            sealer.seal(&page.to_le_bytes(), &mut self.run, from);
            checksum = sealed_checksum(&self.run[from..]);
        }
        Ok(Child { page, checksum })
    }

    /// Writes what was gathered.
    pub(in crate::index) fn flush(&mut self) -> Result<()> {
        if self.run.is_empty() {
            return Ok(());
        }
        let stride = self.file.stride();
        let offset = self.start * stride;
        self.file.forget(self.start..self.start + self.run.len() as u64 / stride);
        self.file
            .file
            .write_at(&[IoSlice::new(&self.run)], offset, Site::INDEX_WRITE)
            .map_err(|error| Error::io(format_args!("writing pages of {}", self.file.name), error))?;
        self.file.file.start_writeback(offset..offset + self.run.len() as u64);
        self.run.clear();
        Ok(())
    }
}
