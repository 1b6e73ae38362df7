//! Damage that background work meets: it is reported, and the work goes around it.

use std::collections::BTreeSet;

use super::report::MaintainReport;
use crate::error::{Error, ErrorKind, Result};
use crate::model::LifecycleCounts;

/// Segments that cannot be relocated because of damage. They stay, and do not keep the others from it.
#[derive(Debug, Default)]
pub(super) struct Damaged {
    pub(super) segments: BTreeSet<u64>,
    pub(super) first: Option<Error>,
}

impl Damaged {
    /// Whether a step of relocation met damage.
    pub(super) fn stops(&mut self, segment: u64, step: Result<()>) -> Result<bool> {
        match step {
            // A directory of a tier that cannot be written keeps only its own from being done.
            Err(error)
                if error.kind() == ErrorKind::Corrupt
                    || (error.kind() == ErrorKind::Io && !error.is_fatal()) =>
            {
                self.segments.insert(segment);
                self.first.get_or_insert(error);
                Ok(true)
            }
            step => step.map(|()| false),
        }
    }

    /// Whether a step of a lifecycle run was made. After damage the run rests, and other work goes on.
    pub(super) fn runs(
        &mut self,
        step: Result<Option<LifecycleCounts>>,
        total: &mut LifecycleCounts,
        goes_on: &mut bool,
    ) -> Result<bool> {
        match step {
            Ok(Some(counts)) => {
                total.add(&counts);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                *goes_on = false;
                self.first.get_or_insert(error);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Work that met damage rests until the next round, and other work goes on.
    pub(super) fn rests<T>(&mut self, step: Result<Option<T>>) -> Result<Option<T>> {
        match step {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.first.get_or_insert(error);
                Ok(None)
            }
            step => step,
        }
    }

    /// Whether a step of a shredding was made. Damage does not keep other work from being done.
    pub(super) fn shreds(&mut self, step: Result<bool>) -> Result<bool> {
        match step {
            Err(error)
                if error.kind() == ErrorKind::Corrupt
                    || (error.kind() == ErrorKind::Io && !error.is_fatal()) =>
            {
                self.first.get_or_insert(error);
                Ok(false)
            }
            step => step,
        }
    }

    /// The report, or the first damage that was met.
    pub(super) fn told(self, report: MaintainReport) -> Result<MaintainReport> {
        self.first.map_or(Ok(report), Err)
    }
}
