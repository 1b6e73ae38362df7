//! Verification, with a callback that watches its progress and may stop it.

use std::fmt;

use crate::catalog::encryption::KeyAudit;
use crate::catalog::keyspace::keys;
use crate::catalog::{Audit, HeadRow, KeyNames, Kind};
use crate::engine::state::engine::Engine;
use crate::engine::{Stored, place_of};
use crate::error::Result;
use crate::format::row::{self, PieceRow, UploadRow};
use crate::rescue::{Naming, VerifyProgress, VerifyReport};

/// How a store is verified.
#[derive(Default)]
#[must_use]
pub struct VerifyOptions<'a> {
    progress: Option<Box<dyn FnMut(VerifyProgress) -> bool + 'a>>,
}

impl fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyOptions").field("watched", &self.progress.is_some()).finish()
    }
}

impl<'a> VerifyOptions<'a> {
    /// Without a progress callback.
    pub fn new() -> VerifyOptions<'a> {
        VerifyOptions::default()
    }

    /// Calls `watch` often with the progress; when it returns `false`, the verification stops.
    pub fn progress(mut self, watch: impl FnMut(VerifyProgress) -> bool + 'a) -> VerifyOptions<'a> {
        self.progress = Some(Box::new(watch));
        self
    }

    pub(crate) fn run(mut self, engine: &Engine) -> Result<VerifyReport> {
        engine.check_open()?;
        let (mut audit, mut keyring) = (Audit::default(), KeyAudit::default());
        let mut names = KeyNames::default();
        let mut check = |key: &[u8], stored: &Stored<'_>, hash: Option<&[u8; 32]>| {
            if keys::bucket_name(key).is_some() {
                names.saved(key, stored);
            }
            match audit.see(key, stored).and_then(|()| keyring.see(key, stored)) {
                Ok(()) => wrong(key, stored, hash),
                Err(error) => Some(error.to_string()),
            }
        };
        let mut progress = |progress| self.progress.as_mut().is_none_or(|watch| watch(progress));
        let mut report = engine.verify(&mut check, &mut progress)?;
        for problem in &mut report.problems {
            if let Some(key) = &problem.key {
                problem.reason = format!("{}: {}", names.name(key), problem.reason);
            }
        }
        // What cannot be read all of cannot add up either.
        if report.is_clean() {
            let reasons = audit.finish().into_iter().chain(keyring.finish());
            reasons.for_each(|reason| report.note(None, reason));
        }
        Ok(report)
    }
}

/// What is wrong with an entry of which the body has this BLAKE3, if that is known.
pub(super) fn wrong(key: &[u8], stored: &Stored<'_>, hash: Option<&[u8; 32]>) -> Option<String> {
    let (name, known) = match keys::parse_place(key) {
        Some(place) if matches!(place.kind, Kind::Head | Kind::Version) && !place.shadow => {
            let name = String::from_utf8_lossy(&place.key).into_owned();
            match HeadRow::read(&name, stored) {
                Err(error) => return Some(error.to_string()),
                // What is stored of a body in an envelope opens only with its key.
                Ok(head) => (name, head.row.blake3.filter(|_| head.row.envelope().is_none())),
            }
        }
        _ if place_of(key).is_some() => match row::decode::<PieceRow>(&stored.payload) {
            Err(reason) => return Some(reason.to_string()),
            Ok(piece) => ("a piece of a body".to_string(), piece.blake3.filter(|_| !piece.enveloped)),
        },
        _ if keys::parse_upload(key).is_some() => {
            return row::decode::<UploadRow>(&stored.payload).err().map(str::to_string);
        }
        _ => return None,
    };
    match (known, hash) {
        (Some(known), Some(hash)) if known != *hash => {
            Some(format!("the body of {name:?} is not the one that was written: its BLAKE3 differs"))
        }
        _ => None,
    }
}
