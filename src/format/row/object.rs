//! The row of a version of an object, and the row of a piece of a body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{Row, decode, decode_body, encode_body, glance, hash, optional_hash};
use super::envelope::SealRow;

/// The number of the storage kind that stands for a delete marker; the others are those of `ObjectKind`.
pub const MARKER: u8 = 4;

/// What is known of one version of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// Bytes of body.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
    /// BLAKE3 of the body, where it is known.
    #[serde(with = "optional_hash")]
    pub blake3: Option<[u8; 32]>,
    /// The storage class's number.
    pub class: u8,
    /// The kind of object, or [`MARKER`].
    pub kind: u8,
    /// The commit that wrote it; 0 if that is the commit of its entry.
    pub lsn: u64,
    /// Its number among the versions of that commit.
    pub n: u32,
    /// Whether its version has a name of its own; if not, it is the `null` version.
    pub named: bool,
    /// The media type.
    pub content_type: Option<String>,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// What most objects do not have.
    pub extra: Option<Box<ObjectExtra>>,
    /// When (milliseconds since 1970) another version took its place, if it is not the current one and that was written
    /// down; no part of schemas 2 to 4.
    #[serde(skip)]
    pub superseded: Option<u64>,
}

/// What most objects do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectExtra {
    /// The entity tag, if it does not follow from a digest.
    pub etag: Option<String>,
    /// MD5 of the body.
    pub md5: Option<[u8; 16]>,
    /// CRC-64/XZ of the body.
    pub crc64: Option<u64>,
    /// `Cache-Control`, `Content-Disposition`, `Content-Encoding`, `Content-Language`, `Expires`.
    pub headers: [Option<String>; 5],
    /// Tags, in the order of their keys.
    pub tags: Vec<(String, String)>,
    /// The number of the access control value plus one; 0 if the bucket's counts.
    pub acl: u8,
    /// Of a symlink: the key it leads to.
    pub target: Option<String>,
    /// Until when (milliseconds since 1970) it may not be changed, and the number of the mode.
    pub retention: Option<(u8, u64)>,
    /// Whether it may not be changed until the hold is lifted.
    pub legal_hold: bool,
    /// Of a multipart object: how many parts; of an appendable one: how many appends.
    pub parts: u32,
    /// What only objects of cold classes have; no part of schema 2.
    #[serde(skip)]
    pub cold: Cold,
    /// What it has to say about being evicted; no part of schemas 2 and 3.
    #[serde(skip)]
    pub keep: Keep,
    /// How it is encrypted, if that was asked for; no part of schemas 2 and 3.
    #[serde(skip)]
    pub seal: Option<Box<SealRow>>,
}

impl ObjectExtra {
    /// Whether it has something that schemas 2 and 3 cannot say.
    fn has_more(&self) -> bool {
        self.keep != Keep::NONE || self.seal.is_some()
    }
}

/// What an object has to say about being evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Whether it is never evicted.
    pub pinned: bool,
    /// Whether it is nowhere else yet, so that it is not evicted.
    pub unreplicated: bool,
    /// Its priority, if it has one of its own.
    pub priority: Option<u8>,
}

impl Keep {
    const NONE: Keep = Keep { pinned: false, unreplicated: false, priority: None };

    /// What the row of a version says of it. No more of the row is read than whether there is anything.
    pub fn read(bytes: &[u8]) -> Result<Keep, &'static str> {
        if !matches!(bytes.get(1), Some(&(WITH_MORE | OLDER_WITH_MORE))) {
            return Ok(Keep::NONE);
        }
        decode::<ObjectRow>(bytes).map(|row| row.rare().keep)
    }
}

/// What only objects of cold classes have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cold {
    /// The restoring that was asked for last, be it over or not.
    pub restore: Option<Restoring>,
    /// When (milliseconds since 1970) it came into its class, if its minimum duration counts from then and not from
    /// when it was modified.
    pub since: Option<u64>,
}

impl Cold {
    const NONE: Cold = Cold { restore: None, since: None };
}

/// A restoring of a frozen body, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// From when on the body can be read.
    pub ready: u64,
    /// From when on it is frozen again.
    pub until: u64,
    /// The number of the priority.
    pub priority: u8,
}

/// The schema of a row with something in [`Cold`].
const WITH_COLD: u8 = 3;

/// The schema of a row with something in [`Keep`], or with an encryption of its own, be it cold or not.
const WITH_MORE: u8 = 4;

/// The schema of a row of a version that is not current: when that came to be, and then the fields of schema 2.
const OLDER: u8 = 5;

/// The same before the fields of schema 4, for what schema 2 has no place for.
const OLDER_WITH_MORE: u8 = 6;

/// The fields that stand first in the row of an object, for those who look at many.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ObjectGlance<'a> {
    /// Bytes of body.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
    /// Only so that what follows is found.
    #[serde(borrow)]
    blake3: &'a [u8],
    /// The storage class's number.
    pub class: u8,
    /// The kind of object, or [`MARKER`].
    pub kind: u8,
    /// The commit that wrote it; 0 if that is the commit of its entry.
    pub lsn: u64,
    /// Its number among the versions of that commit.
    pub n: u32,
    /// Whether its version has a name of its own.
    pub named: bool,
    /// When another version took its place, if that was written down.
    #[serde(skip)]
    pub superseded: Option<u64>,
}

impl<'a> ObjectGlance<'a> {
    /// Every schema that begins with these fields.
    const SCHEMAS: [u8; 3] = [2, WITH_COLD, WITH_MORE];

    /// Reads them; nothing is allocated for a row that was written by this version.
    pub fn read(bytes: &'a [u8]) -> Result<ObjectGlance<'a>, &'static str> {
        let older = || glance::<(u64, ObjectGlance<'_>)>(bytes, ObjectRow::KIND, &[OLDER, OLDER_WITH_MORE]);
        let seen = glance::<ObjectGlance<'_>>(bytes, ObjectRow::KIND, &ObjectGlance::SCHEMAS)
            .or_else(|| older().map(|(since, seen)| ObjectGlance { superseded: Some(since), ..seen }));
        if let Some(seen) = seen {
            return if matches!(seen.blake3.len(), 0 | 32) {
                Ok(seen)
            } else {
                Err("a row cannot be decoded")
            };
        }
        let row: ObjectRow = decode(bytes)?;
        let ObjectRow { size, modified, class, kind, lsn, n, named, superseded, .. } = row;
        Ok(ObjectGlance { size, modified, blake3: &[], class, kind, lsn, n, named, superseded })
    }
}

/// The fields that stand first in the row of an upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadGlance {
    /// When it was begun, in milliseconds since 1970.
    pub modified: u64,
}

impl UploadGlance {
    /// Reads them.
    pub fn read(bytes: &[u8]) -> Result<UploadGlance, &'static str> {
        let seen = glance::<ObjectGlance<'_>>(bytes, UploadRow::KIND, &[1, UPLOAD_WITH_MORE]);
        let modified = match seen {
            Some(seen) => seen.modified,
            None => decode::<UploadRow>(bytes)?.object.modified,
        };
        Ok(UploadGlance { modified })
    }
}

impl Row for ObjectRow {
    const KIND: u8 = 2;
    const SCHEMA: u8 = 2;

    fn encode_newer(&self) -> Option<(u8, Vec<u8>)> {
        let rare = self.rare();
        if let Some(since) = self.superseded {
            let is_plain = !rare.has_more() && rare.cold == Cold::NONE;
            return Some(match is_plain {
                true => (OLDER, encode_body(&(since, self))),
                false => {
                    let rest = (self.plain(), rare.cold, rare.keep, &rare.seal);
                    (OLDER_WITH_MORE, encode_body(&(since, rest)))
                }
            });
        }
        if rare.has_more() {
            return Some((WITH_MORE, encode_body(&(self.plain(), rare.cold, rare.keep, &rare.seal))));
        }
        (rare.cold != Cold::NONE).then(|| (WITH_COLD, encode_body(&(self.plain(), rare.cold))))
    }

    fn upgrade(schema: u8, body: &[u8]) -> Result<ObjectRow, &'static str> {
        if schema == WITH_COLD {
            let (mut row, cold): (ObjectRow, Cold) = decode_body(body)?;
            row.rare_mut().cold = cold;
            row.trim();
            return Ok(row);
        }
        if schema == WITH_MORE {
            return decode_body(body).map(WithMore::row);
        }
        if schema == OLDER || schema == OLDER_WITH_MORE {
            let (since, row) = match schema {
                OLDER => decode_body::<(u64, ObjectRow)>(body)?,
                _ => decode_body::<(u64, WithMore)>(body).map(|(since, more)| (since, more.row()))?,
            };
            return Ok(ObjectRow { superseded: Some(since), ..row });
        }
        if schema != 1 {
            return Err(super::codec::UNKNOWN);
        }
        let old: First = decode_body(body)?;
        let First { size, modified, blake3, class, content_type, metadata } = old;
        let blake3 = Some(blake3);
        Ok(ObjectRow { size, modified, blake3, class, content_type, metadata, ..ObjectRow::default() })
    }
}

/// Schema 4.
#[derive(Deserialize)]
struct WithMore(ObjectRow, Cold, Keep, Option<Box<SealRow>>);

impl WithMore {
    fn row(self) -> ObjectRow {
        let WithMore(mut row, cold, keep, seal) = self;
        let rare = row.rare_mut();
        (rare.cold, rare.keep, rare.seal) = (cold, keep, seal);
        row.trim();
        row
    }
}

/// Schema 1.
#[derive(Serialize, Deserialize)]
pub(super) struct First {
    pub(super) size: u64,
    pub(super) modified: u64,
    #[serde(with = "hash")]
    pub(super) blake3: [u8; 32],
    pub(super) class: u8,
    pub(super) content_type: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl ObjectRow {
    /// What most objects do not have, to be read; nothing if this one has none of it.
    pub fn rare(&self) -> &ObjectExtra {
        static NONE: ObjectExtra = ObjectExtra {
            etag: None,
            md5: None,
            crc64: None,
            headers: [const { None }; 5],
            tags: Vec::new(),
            acl: 0,
            target: None,
            retention: None,
            legal_hold: false,
            parts: 0,
            cold: Cold::NONE,
            keep: Keep::NONE,
            seal: None,
        };
        self.extra.as_deref().unwrap_or(&NONE)
    }

    /// The same, to be changed. Call [`ObjectRow::trim`] afterwards.
    pub fn rare_mut(&mut self) -> &mut ObjectExtra {
        self.extra.get_or_insert_default()
    }

    /// Takes retention and hold off: they belong to a version, not to what is made from it.
    pub fn release(&mut self) {
        if let Some(extra) = &mut self.extra {
            (extra.retention, extra.legal_hold) = (None, false);
            self.trim();
        }
    }

    /// Forgets what it has of its class: it comes into one anew.
    pub fn warm(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.cold = Cold::NONE;
            self.trim();
        }
    }

    /// The row as schema 2 has it.
    fn plain(&self) -> ObjectRow {
        let mut plain = self.clone();
        if let Some(extra) = &mut plain.extra {
            (extra.cold, extra.keep, extra.seal) = (Cold::NONE, Keep::NONE, None);
        }
        plain.trim();
        plain
    }

    /// How it is encrypted, if that was asked for.
    pub fn seal(&self) -> Option<&SealRow> {
        self.rare().seal.as_deref()
    }

    /// The envelope around its body, if there is one.
    pub fn envelope(&self) -> Option<&super::envelope::EnvelopeRow> {
        self.seal().and_then(SealRow::envelope)
    }

    /// Notes how it is encrypted.
    pub fn set_seal(&mut self, seal: Option<SealRow>) {
        if seal.is_some() || self.extra.is_some() {
            self.rare_mut().seal = seal.map(Box::new);
            self.trim();
        }
    }

    /// Drops the rare part if there is nothing in it.
    pub fn trim(&mut self) {
        if self.extra.as_deref().is_some_and(|extra| *extra == ObjectExtra::default()) {
            self.extra = None;
        }
    }

    /// Whether it is a delete marker.
    pub fn is_marker(&self) -> bool {
        self.kind == MARKER
    }
}

/// A piece of a body: a part of an upload, what one append brought, or all of a body that was shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceRow {
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
    /// BLAKE3 of them, where it is known.
    #[serde(with = "optional_hash")]
    pub blake3: Option<[u8; 32]>,
    /// MD5 of them.
    pub md5: Option<[u8; 16]>,
    /// CRC-64/XZ of them.
    pub crc64: Option<u64>,
    /// Whether all this is of the bytes in an envelope, and not of those that are stored; that is schema 2.
    #[serde(skip)]
    pub enveloped: bool,
}

/// The schema of a piece that is an envelope.
const ENVELOPED: u8 = 2;

impl Row for PieceRow {
    const KIND: u8 = 3;
    const SCHEMA: u8 = 1;

    fn encode_newer(&self) -> Option<(u8, Vec<u8>)> {
        self.enveloped.then(|| (ENVELOPED, encode_body(self)))
    }

    fn upgrade(schema: u8, body: &[u8]) -> Result<PieceRow, &'static str> {
        if schema != ENVELOPED {
            return Err(super::codec::UNKNOWN);
        }
        Ok(PieceRow { enveloped: true, ..decode_body(body)? })
    }
}

/// An upload in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRow {
    /// What the object will be, as far as it was said at the beginning; `modified` is when that was.
    pub object: ObjectRow,
    /// Whether MD5 and CRC-64 of the parts are kept.
    pub oss_digests: bool,
    /// The blob that its parts are pieces of: the commit, and the number in it.
    pub blob: (u64, u32),
    /// How many parts there are.
    pub parts: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Whether the object must not exist yet, at the beginning and at the end.
    pub if_absent: bool,
}

/// The schema of an upload to an object with something in [`Keep`], or with an encryption of its own.
const UPLOAD_WITH_MORE: u8 = 2;

impl Row for UploadRow {
    const KIND: u8 = 4;
    const SCHEMA: u8 = 1;

    fn encode_newer(&self) -> Option<(u8, Vec<u8>)> {
        self.object.rare().has_more().then(|| {
            let plain = UploadRow { object: self.object.plain(), ..self.clone() };
            let rare = self.object.rare();
            (UPLOAD_WITH_MORE, encode_body(&(plain, rare.keep, &rare.seal)))
        })
    }

    fn upgrade(schema: u8, body: &[u8]) -> Result<UploadRow, &'static str> {
        if schema != UPLOAD_WITH_MORE {
            return Err(super::codec::UNKNOWN);
        }
        let (mut row, keep, seal): (UploadRow, Keep, Option<Box<SealRow>>) = decode_body(body)?;
        let rare = row.object.rare_mut();
        (rare.keep, rare.seal) = (keep, seal);
        row.object.trim();
        Ok(row)
    }
}
