//! Which fault strikes which call, and the book of those that did.

use std::collections::BTreeMap;
use std::io;

use crate::env::site::Site;

/// Something that goes wrong in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes in the middle of the call, which is done in part or not at all. It fails, and so does
    /// every later one.
    PowerCut,
    /// The call fails once, having done nothing; a failed sync also forgets what it should have written.
    Error(io::ErrorKind),
    /// This call and all later ones of the same kind fail.
    Sticky(io::ErrorKind),
    /// A part of the bytes is written, then the call fails. For `write_at`.
    TornWrite,
    /// The call says yes and does nothing. For `write_at`.
    LostWrite,
    /// The call says yes and makes nothing durable. For `sync_data` and `sync_dir`.
    LyingSync,
    /// One bit is wrong in what is written, in what is read, or in all that is read through a map.
    FlipBit,
}

/// A fault that struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where.
    pub site: Site,
    /// Which: `power-cut`, `error`, `sticky`, `torn-write`, `lost-write`, `lying-sync`, `flip-bit` or
    /// `storage-full` (the capacity was reached).
    pub fault: &'static str,
    /// How often.
    pub count: u64,
}

/// The kinds of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Open,
    ReadAt,
    Map,
    List,
    Lock,
    Create,
    WriteAt,
    SyncData,
    SetLen,
    Allocate,
    Remove,
    CreateDir,
    SyncDir,
}

/// The faults to come, and the counts of what came.
#[derive(Debug, Default)]
pub(super) struct Plan {
    operations: u64,
    syncs: u64,
    reads: u64,
    at_operation: BTreeMap<u64, Fault>,
    at_read: BTreeMap<u64, Fault>,
    /// With how many calls at the site are still to be let through.
    at_site: Vec<(Site, u64, Fault)>,
    sticky: Vec<(Call, io::ErrorKind)>,
    calls: BTreeMap<Site, u64>,
    hits: BTreeMap<(Site, &'static str), u64>,
    trace: u64,
}

impl Plan {
    /// Counts a call and says which fault strikes it.
    pub(super) fn strike(&mut self, call: Call, site: Site) -> Option<Fault> {
        *self.calls.entry(site).or_default() += 1;
        let numbered = match call {
            Call::Lock => None,
            Call::Open | Call::ReadAt | Call::Map | Call::List => {
                self.reads += 1;
                self.at_read.remove(&(self.reads - 1))
            }
            _ => {
                self.syncs += u64::from(call == Call::SyncData);
                self.operations += 1;
                self.at_operation.remove(&(self.operations - 1))
            }
        };
        let at_site = self.due_at(site);
        let stuck =
            self.sticky.iter().find(|(kind, _)| *kind == call).map(|(_, error)| Fault::Sticky(*error));
        let fault = [stuck, numbered, at_site].into_iter().flatten().find(|fault| fault.suits(call))?;
        if let (Fault::Sticky(error), None) = (fault, stuck) {
            self.sticky.push((call, error));
        }
        self.hit(site, fault.name());
        Some(fault)
    }

    /// Enters a fault that struck.
    pub(super) fn hit(&mut self, site: Site, fault: &'static str) {
        *self.hits.entry((site, fault)).or_default() += 1;
    }

    /// Adds what distinguishes a call to the hash of all calls.
    pub(super) fn note(&mut self, words: [u64; 4], site: Site, bytes: &[u8]) {
        let text = u64::from(crc32fast::hash(site.0.as_bytes()));
        let bytes = u64::from(crc32fast::hash(bytes));
        for word in words.into_iter().chain([text, bytes]) {
            self.trace = (self.trace ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }

    pub(super) fn fail_at(&mut self, operation: u64, fault: Fault) {
        self.at_operation.insert(operation, fault);
    }

    pub(super) fn fail_read_at(&mut self, read: u64, fault: Fault) {
        self.at_read.insert(read, fault);
    }

    pub(super) fn fail_site(&mut self, site: Site, nth: u64, fault: Fault) {
        self.at_site.push((site, nth, fault));
    }

    pub(super) fn clear(&mut self) {
        self.at_operation.clear();
        self.at_read.clear();
        self.at_site.clear();
        self.sticky.clear();
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    pub(super) fn trace(&self) -> u64 {
        self.trace
    }

    pub(super) fn calls(&self) -> Vec<(Site, u64)> {
        self.calls.iter().map(|(site, count)| (*site, *count)).collect()
    }

    pub(super) fn hits(&self) -> Vec<Hit> {
        self.hits.iter().map(|((site, fault), count)| Hit { site: *site, fault, count: *count }).collect()
    }

    fn due_at(&mut self, site: Site) -> Option<Fault> {
        let mut due = None;
        self.at_site.retain_mut(|(at, wait, fault)| {
            if *at != site {
                return true;
            }
            if *wait > 0 {
                *wait -= 1;
                return true;
            }
            due = due.or(Some(*fault));
            false
        });
        due
    }
}

impl Fault {
    fn suits(self, call: Call) -> bool {
        match self {
            Fault::PowerCut | Fault::Error(_) | Fault::Sticky(_) => true,
            Fault::TornWrite | Fault::LostWrite => call == Call::WriteAt,
            Fault::LyingSync => matches!(call, Call::SyncData | Call::SyncDir),
            Fault::FlipBit => matches!(call, Call::WriteAt | Call::ReadAt | Call::Map),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Fault::PowerCut => "power-cut",
            Fault::Error(_) => "error",
            Fault::Sticky(_) => "sticky",
            Fault::TornWrite => "torn-write",
            Fault::LostWrite => "lost-write",
            Fault::LyingSync => "lying-sync",
            Fault::FlipBit => "flip-bit",
        }
    }
}
