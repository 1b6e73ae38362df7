//! Completing an upload: its parts become an object, without copying a byte.

use std::sync::Arc;

use super::begin::check_absent;
use super::parts::{self, Held, Part};
use super::upload_ref::{UploadRef, blob_of};
use crate::engine::state::engine::Engine;
use crate::engine::{self, Keyed, NewBody, SharedRef};
use crate::error::{Error, Result};
use crate::format::entry::Extent;
use crate::format::row::{ObjectRow, PartRun};
use crate::model::upload::MIN_PART;
use crate::model::{Digests, Durability, ETag, Hasher, Lsn, PartPlan, crc64_combine};
use crate::ops::object::put::commit;
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::{BodySource, Chain};

#[derive(Debug)]
struct CompleteStep {
    upload: UploadRef,
    /// The numbers and entity tags of the parts; all that there are if `None`.
    parts: Option<Vec<(u32, ETag)>>,
    /// The fewest bytes of a part that is not the last one.
    least: u64,
}

/// The parts of an object that is to be, out of those that there are.
fn choose<'h>(wanted: Option<&[(u32, ETag)]>, held: &'h [Held], least: u64) -> Result<Vec<&'h Held>> {
    let chosen = match wanted {
        None => held.iter().collect(),
        Some(wanted) => {
            if let Some(pair) = wanted.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                return Err(Error::invalid(
                    "InvalidPartOrder",
                    format!(
                        "the parts of an upload are completed in the order of their numbers, but {} stands before {}",
                        pair[0].0, pair[1].0
                    ),
                ));
            }
            let find = |(number, etag): &(u32, ETag)| {
                let place = held.binary_search_by_key(number, |held| held.number);
                place.ok().map(|index| &held[index]).filter(|held| held.etag() == *etag).ok_or_else(|| {
                    Error::invalid(
                        "InvalidPart",
                        format!(
                            "the upload has no part {number} with the entity tag {etag}; `parts` lists those it has"
                        ),
                    )
                })
            };
            wanted.iter().map(find).collect::<Result<Vec<_>>>()?
        }
    };
    let Some((_, rest)) = chosen.split_last() else {
        return Err(Error::invalid(
            "InvalidArgument",
            "an upload is completed with at least one part; put one first, or abort the upload",
        ));
    };
    if let Some(small) = rest.iter().find(|held| held.piece.size < least) {
        return Err(Error::invalid(
            "EntityTooSmall",
            format!(
                "every part but the last has at least {least} bytes, and part {} has {}",
                small.number, small.piece.size
            ),
        ));
    }
    Ok(chosen)
}

/// The entity tag of an object made of these parts, and its CRC-64 if those of all parts are known.
fn digests_of(oss: bool, chosen: &[&Held]) -> (ETag, Option<u64>) {
    let md5: Option<Vec<[u8; 16]>> = chosen.iter().map(|held| held.piece.md5.filter(|_| oss)).collect();
    let half = md5.and_then(|sums| {
        let mut hasher = Hasher::new(Digests::Oss);
        hasher.update(sums.as_flattened());
        hasher.finish().md5
    });
    let half = half.unwrap_or_else(|| {
        let mut hasher = blake3::Hasher::new();
        chosen.iter().for_each(|held| {
            hasher.update(&held.piece.blake3.unwrap_or_default());
        });
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        half
    });
    let crc64 = chosen.iter().try_fold(0, |whole, held| {
        held.piece.crc64.map(|crc64| crc64_combine(whole, crc64, held.piece.size))
    });
    (ETag::multipart(&half, chosen.len() as u32), crc64)
}

/// The envelopes that the body of an object is made of.
fn runs_of(chosen: &[&Held]) -> Vec<PartRun> {
    let mut runs: Vec<PartRun> = Vec::new();
    for held in chosen {
        let size = held.piece.size;
        match runs.last_mut() {
            Some(run) if run.first + run.count == held.number && run.size == size => run.count += 1,
            _ => runs.push(PartRun { first: held.number, count: 1, size }),
        }
    }
    runs
}

/// Where the bodies of parts lie, if they all lie in segments and not inside their entries.
fn places_of(chosen: &[&Held]) -> Vec<Extent> {
    let mut places = Vec::new();
    for held in chosen {
        match &held.body {
            NewBody::Extents(extents) => places.extend_from_slice(extents),
            NewBody::None => {}
            _ => return Vec::new(),
        }
    }
    places
}

impl Step for CompleteStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let upload = &self.upload;
        let state = staged.bucket(&upload.bucket)?;
        let (row, _) = upload.find(staged)?;
        let blob = blob_of(&row);
        let held = parts::list(staged, blob, 0, usize::MAX)?;
        let chosen = choose(self.parts.as_deref(), &held, self.least)?;
        if let Some(plan) = PartPlan::of(&row.object.metadata)? {
            plan.check_parts(chosen.iter().map(|held| (held.number, held.piece.size)))?;
        }
        check_absent(&Chain::new(staged, &state), &upload.key, row.if_absent)?;

        let (etag, crc64) = digests_of(row.oss_digests, &chosen);
        // At most 10,000 parts of at most 5 GiB: never more than OSS's 48.8 TiB.
        let size = chosen.iter().map(|held| held.piece.size).sum();
        // What is stored of a part in an envelope is longer than the part.
        let stored = chosen.iter().map(|held| held.body.to_owned_body().len()).sum();
        let body = NewBody::Shared(SharedRef::new(blob, stored, &places_of(&chosen)));
        let mut object = ObjectRow { size, modified: staged.now.millis, ..row.object };
        let rare = object.rare_mut();
        if let Some(envelope) = rare.seal.as_mut().and_then(|seal| seal.envelope_mut()) {
            envelope.parts = runs_of(&chosen);
        }
        (rare.etag, rare.crc64) = (Some(etag.to_string()), crc64);
        rare.parts = chosen.len() as u32;

        staged.remove(upload.at());
        let mut kept = chosen.iter().map(|held| held.number).peekable();
        for held in &held {
            if kept.next_if_eq(&held.number).is_none() {
                staged.remove(engine::piece_key(blob, u64::from(held.number)));
                staged.count_pieces(blob, Keyed::Number, -1);
            }
        }
        let mut chain = Chain::new(staged, &state);
        let version = chain.push(&upload.key, object, BodySource::New(body))?;
        chain.check_quota()?;
        Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
    }
}

/// Makes an object of the parts of an upload: of these, or of all.
pub fn complete(
    engine: &Arc<Engine>,
    upload: &UploadRef,
    parts: Option<&[Part]>,
    durability: Durability,
) -> Result<PutOutcome> {
    let parts = parts.map(|parts| parts.iter().map(|part| (part.number, part.etag.clone())).collect());
    commit(engine, CompleteStep { upload: upload.clone(), parts, least: MIN_PART }, durability)
}

#[cfg(test)]
mod tests {
    use super::super::begin::begin;
    use super::super::options::UploadOptions;
    use super::*;
    use crate::ops::object::get;
    use crate::ops::object::get_options::GetOptions;
    use crate::ops::upload::put_part;
    use crate::write::context::Reading;

    /// As many parts as there may be, each as small as it may not be, so that they fit into memory.
    #[test]
    fn an_object_of_ten_thousand_parts_is_read_copied_and_removed() {
        let store = crate::api::Store::in_memory().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let (engine, reference) = (store.engine(), bucket.reference());
        let options = UploadOptions::new().durability(Durability::Buffered);
        let upload = begin(engine, reference, "a", options).unwrap();
        let mut whole = Vec::new();
        for number in 1..=10_000u32 {
            let bytes = number.to_le_bytes().repeat(80);
            put_part::put(engine, &upload, number, bytes[..].into(), Durability::Buffered).unwrap();
            whole.extend(bytes);
        }
        let step = CompleteStep { upload: upload.clone(), parts: None, least: 0 };
        let outcome = commit(engine, step, Durability::Buffered).unwrap();
        assert!(outcome.etag.as_str().ends_with("-10000"));
        let range = GetOptions::new().range(1_599_990..1_600_330);
        let got = get::get(&Reading::newest(engine), reference, "a", &range).unwrap();
        assert_eq!(got.body.len(), whole.len() as u64);
        assert_eq!(bucket.get_with("a", range).unwrap().bytes().unwrap(), whole[1_599_990..1_600_330]);
        bucket.copy("a", "b").unwrap();
        bucket.delete("a").unwrap();
        assert!(bucket.get("b").unwrap().bytes().unwrap() == whole);
        assert!(store.verify().unwrap().is_clean());
        bucket.delete("b").unwrap();
        store.maintain(std::time::Duration::from_secs(60)).unwrap();
        let report = store.verify().unwrap();
        // The bucket's two rows, and the note of the last commit that tidied.
        assert!(report.is_clean() && report.entries == 3, "{report:?}");
    }
}
