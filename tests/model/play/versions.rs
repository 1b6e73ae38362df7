//! Versions: listing them, and going back to an older one.

use std::time::SystemTime;

use ossicle::{Error, ListOptions, VersionEntry, VersionId};

use super::Play;
use super::facts::{Facts, Version, code, list, list_options, same};
use super::objects::{Ended, same_put};
use crate::history::{Lines, Pick, Spot};
use crate::reference::{Handle, List, Object, Read, VersionLine, Which};

/// A line of a listing of versions, in a form that both sides can say.
#[derive(Debug, PartialEq)]
pub(super) enum Shown {
    Version {
        key: String,
        version: Version,
        marker: bool,
        latest: bool,
        modified: u64,
        facts: Option<Box<Facts>>,
    },
    Prefix(String),
}

impl Shown {
    pub(super) fn of(entry: &VersionEntry) -> Shown {
        let facts = entry.meta.as_ref().map(|meta| {
            let told = (entry.size, entry.etag.as_ref(), entry.class, entry.kind);
            assert_eq!(told, (meta.size, Some(&meta.etag), Some(meta.class), Some(meta.kind)));
            Box::new(Facts::of(meta))
        });
        assert_eq!(facts.is_none(), entry.marker);
        assert!(!entry.marker || entry.size == 0);
        Shown::Version {
            key: entry.key.clone(),
            version: Version::Seen(Some(entry.version.to_string())),
            marker: entry.marker,
            latest: entry.latest,
            modified: entry.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64,
            facts,
        }
    }

    pub(super) fn told(line: &VersionLine, versioned: bool) -> Shown {
        match line {
            VersionLine::Prefix(prefix) => Shown::Prefix(prefix.clone()),
            VersionLine::Version(key, object, latest) => Shown::Version {
                key: key.clone(),
                version: Version::Told(Some(object.name.clone())),
                marker: object.marker,
                latest: *latest,
                modified: object.modified,
                facts: (!object.marker).then(|| Box::new(Facts::told(key, object, versioned))),
            },
        }
    }

    fn name(&self) -> &str {
        match self {
            Shown::Version { key, .. } | Shown::Prefix(key) => key,
        }
    }
}

impl Play<'_> {
    pub(super) fn versions(&mut self, at: usize, lines: &Lines, after: Pick) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let versioned = self.model.keeps_versions(&handle);
        let (which, version) = match after {
            Pick::Current => (None, None),
            pick => {
                let (which, version) = self.which(pick, &handle, &lines.start_after);
                (Some(which), version)
            }
        };
        let options = |limit: Option<usize>| {
            let options = list_options(&Lines { limit, ..lines.clone() });
            match &version {
                Some(version) => options.start_after_version(version),
                None => options,
            }
        };
        let shown = |line: &VersionLine| Shown::told(line, versioned);
        if lines.delimiter.is_empty() {
            let real = bucket
                .versions(options(lines.limit))
                .map(|listing| listing.map(|entry| Shown::of(&entry.unwrap())).collect::<Vec<_>>());
            let told = self.model.versions(&handle, &list(lines), which.as_ref());
            same(real, told.map(|(lines, _)| lines.iter().map(shown).collect()));
        } else {
            let refused = bucket.versions(options(lines.limit)).map(|_| ());
            assert!(refused.is_err());
        }
        let real = bucket.versions_page(options(lines.limit)).map(|page| {
            let next = (page.next_key, Version::Seen(page.next_version.map(|version| version.to_string())));
            (merged(&page.entries, page.prefixes), next)
        });
        let whole = List { limit: Some(lines.limit.unwrap_or(1000)), ..list(lines) };
        let told = self.model.versions(&handle, &whole, which.as_ref()).map(|(lines, next)| {
            let last = lines.last().filter(|_| next.is_some());
            let version = match (last, &next) {
                (Some(VersionLine::Version(key, object, _)), Some(VersionLine::Version(next, ..)))
                    if key == next =>
                {
                    Some(object.name.clone())
                }
                _ => None,
            };
            let next = (last.map(|line| line.name().to_string()), Version::Told(version));
            (lines.iter().map(shown).collect::<Vec<_>>(), next)
        });
        same(real, told);
        self.played += 1;
    }

    /// Page by page, a listing of versions is the same as at once.
    pub(super) fn version_pages(&mut self, at: usize, lines: &Lines) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let versioned = self.model.keeps_versions(&handle);
        let step = lines.limit.unwrap_or(3).max(1);
        let (mut seen, mut start_after) = (Vec::new(), lines.start_after.clone());
        let mut version: Option<VersionId> = None;
        let real = loop {
            let mut options: ListOptions =
                list_options(&Lines { start_after, limit: Some(step), ..lines.clone() });
            if let Some(version) = version {
                options = options.start_after_version(version);
            }
            match bucket.versions_page(options) {
                Err(error) => break Err(error),
                Ok(page) => {
                    self.played += 1;
                    let count = page.entries.len() + page.prefixes.len();
                    assert!(count == step || (count < step && page.next_key.is_none()), "{count} of {step}");
                    seen.extend(merged(&page.entries, page.prefixes));
                    version = page.next_version;
                    match page.next_key {
                        Some(next) => start_after = next,
                        None => break Ok(seen),
                    }
                }
            }
        };
        let told = self.model.versions(&handle, &List { limit: None, ..list(lines) }, None);
        same(real, told.map(|(lines, _)| lines.iter().map(|line| Shown::told(line, versioned)).collect()));
    }

    pub(super) fn undelete(&mut self, at: &Spot) {
        if let Some((bucket, handle)) = self.spot(at) {
            same_put(bucket.undelete(&at.key), self.model.undelete(&handle, &at.key));
        }
    }

    pub(super) fn restore_version(&mut self, at: &Spot, pick: Pick) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        if let (which, Some(version)) = self.which(pick, &handle, &at.key) {
            let real = bucket.restore_version(&at.key, &version);
            same_put(real, self.model.restore_version(&handle, &at.key, &which));
        }
    }

    pub(super) fn delete_versions(&mut self, at: usize, versions: &[(String, Pick)]) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let both: Vec<(&String, (Which, Option<VersionId>))> =
            versions.iter().map(|(key, pick)| (key, self.which(*pick, &handle, key))).collect();
        let asked = both.iter().map(|(key, (_, version))| (*key, version.clone()));
        let real: Result<Vec<_>, Error> = bucket.delete_versions(asked).map(|answers| {
            answers.into_iter().map(|(key, answer)| (key, code(answer.map(Ended::of)))).collect()
        });
        let asked: Vec<_> = both.iter().map(|(key, (which, _))| ((*key).clone(), which.clone())).collect();
        let told = self.model.delete_each(&handle, &asked).map(|answers| {
            let answers = answers.into_iter().map(|answer| answer.map(Ended::told).map_err(str::to_string));
            versions.iter().map(|(key, _)| key.clone()).zip(answers).collect()
        });
        same(real, told);
        self.played += versions.len() as u64;
    }

    /// Every version of a key, read one by one.
    pub(super) fn chain(&mut self, at: &Spot) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let chain: Vec<std::sync::Arc<Object>> = self.model.chain(&handle, &at.key).to_vec();
        for object in chain {
            let Some(text) = object.name.text() else { continue };
            let id: VersionId = text.parse().unwrap();
            let got = bucket.get_with(&at.key, ossicle::GetOptions::new().version(id));
            let read = Read { which: Which::Named(object.name.clone()), ..Read::default() };
            match (got, self.model.head(&handle, &at.key, &read)) {
                (Ok(got), Ok(told)) => {
                    assert_eq!(Facts::of(got.meta()), self.facts(&handle, &at.key, &told));
                    assert!(got.bytes().unwrap() == told.body[..]);
                }
                (got, told) => same(got.map(|_| ()), told.map(|_| ())),
            }
            self.played += 1;
        }
    }

    fn facts(&self, handle: &Handle, key: &str, object: &Object) -> Facts {
        Facts::told(key, object, self.model.keeps_versions(handle))
    }
}

/// Versions and prefixes of a page in the order in which both are met.
fn merged(entries: &[VersionEntry], prefixes: Vec<String>) -> Vec<Shown> {
    let mut all: Vec<Shown> = entries.iter().map(Shown::of).collect();
    all.extend(prefixes.into_iter().map(Shown::Prefix));
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all
}
