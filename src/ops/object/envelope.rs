//! Encryption of single objects: which one a write gets, and the key of an object that is read.
//!
//! A body with a key of its own is put into an envelope before the engine sees it, and to the engine that is a body like
//! any other: what moves, copies, shares or saves it needs no key. The row says what leads to the key, and never says the
//! key. A bucket's key is wrapped by a named key and kept in a row; a write sees to it that the row is there in the commit
//! that needs it, so nothing depends on the order in which keys and objects become durable.

use std::sync::Arc;

use crate::catalog::keyspace::keys;
use crate::catalog::{BucketState, Moment, Rows, encryption};
use crate::crypto::{CustomerKey, EnvelopeKey, Locked, SecretKey};
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, BucketKeyRow, EnvelopeRow, ObjectRow, SealRow};
use crate::index::Weight;
use crate::model::{BucketName, Encryption, ObjectKind};
use crate::write::context::BucketRef;
use crate::write::staged::overlay::Staged;

/// The encryption that a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The store's key or a named one; the bucket's default if nothing is said.
    pub encryption: Option<Encryption>,
    /// A key that is brought along.
    pub customer: Option<CustomerKey>,
}

impl Asked {
    /// Whether the store can do what is asked, and whether that is one thing.
    pub fn check(&self, engine: &Engine) -> Result<()> {
        if self.encryption.is_some() && self.customer.is_some() {
            return Err(Error::invalid(
                "InvalidArgument",
                "an object is encrypted with a customer's key or with another, not with both; ask for one of them",
            ));
        }
        match &self.encryption {
            Some(encryption) if encryption.key_id().is_none() => check_sealed(engine),
            Some(encryption) => encryption.check(),
            None => Ok(()),
        }
    }
}

/// How a body that is about to be written is encrypted.
#[derive(Clone, Debug)]
pub struct Sealing {
    row: SealRow,
    key: Option<Arc<EnvelopeKey>>,
    /// The row of the bucket's key: its key and its payload.
    wrap: Option<(Vec<u8>, Vec<u8>)>,
}

impl Sealing {
    /// The key of the object, if the body goes into an envelope.
    pub fn key(&self) -> Option<Arc<EnvelopeKey>> {
        self.key.clone()
    }

    /// The key of the row that the bucket's key stands in.
    pub fn kept_at(&self) -> Option<&[u8]> {
        self.wrap.as_ref().map(|(at, _)| &at[..])
    }

    /// Notes it in the row of an object that is to be.
    pub fn note(sealing: Option<&Sealing>, row: &mut ObjectRow) {
        row.set_seal(sealing.map(|sealing| sealing.row.clone()));
    }

    /// Sees to it that the bucket's key is kept, in the commit that needs it. A retired key is said again: whoever has
    /// looked and found that nothing needs it sees by that that something does. One that is gone comes back retired.
    pub fn keep_key(sealing: Option<&Sealing>, staged: &mut Staged<'_>) -> Result<()> {
        let Some((at, payload)) = sealing.and_then(|sealing| sealing.wrap.as_ref()) else {
            return Ok(());
        };
        let payload = match staged.get(at)? {
            Some(found) if !read_key(&found.payload)?.retired => return Ok(()),
            Some(found) => found.payload,
            None => {
                let mut row = read_key(payload)?;
                if let Some(bucket) = keys::parse_bucket_key(at).map(|(bucket, _)| bucket) {
                    // Brought back, not new: a rotation and a removal have come in between.
                    row.retired = encryption::current_key(staged, bucket, &row.key_id)?.is_some();
                }
                row::encode(&row)
            }
        };
        staged.put(at.clone(), Weight::default(), payload);
        Ok(())
    }
}

/// Reads the row of a bucket's key.
pub fn read_key(payload: &[u8]) -> Result<BucketKeyRow> {
    row::decode(payload).map_err(|reason| Error::corrupt("the key of a bucket", 0, reason))
}

/// What a bucket asks for now. One that is only being made asks for nothing.
pub fn default_of(engine: &Engine, bucket: &BucketRef) -> Result<Option<Encryption>> {
    match bucket.state(&Moment::now(&engine.view())) {
        Ok(state) => Ok(state.encryption.clone()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Decides how what is written to a bucket now is encrypted: as it is asked for, else as the bucket says.
pub fn choose(engine: &Engine, bucket: &BucketRef, asked: &Asked) -> Result<Option<Sealing>> {
    asked.check(engine)?;
    let sealing = match (&asked.customer, &asked.encryption) {
        (Some(customer), _) => {
            let (key, envelope) = new_envelope(engine, customer.secret());
            let row = SealRow::Customer { fingerprint: customer.mark(), envelope };
            Sealing { row, key: Some(key), wrap: None }
        }
        (None, asked) => {
            let default = if asked.is_none() { default_of(engine, bucket)? } else { None };
            match asked.as_ref().or(default.as_ref()) {
                None => return Ok(None),
                Some(encryption) => with(engine, bucket, encryption)?,
            }
        }
    };
    engine.require_envelopes()?;
    Ok(Some(sealing))
}

fn new_envelope(engine: &Engine, root: &SecretKey) -> (Arc<EnvelopeKey>, EnvelopeRow) {
    let salt = engine.vault().salt();
    let key = Arc::new(EnvelopeKey::new(root, &salt));
    let commitment = key.commitment();
    (key, EnvelopeRow { salt, commitment, parts: Vec::new() })
}

/// The encryption with the store's key or a named one.
pub fn with(engine: &Engine, bucket: &BucketRef, encryption: &Encryption) -> Result<Sealing> {
    encryption.check()?;
    let Some(key_id) = encryption.key_id() else {
        check_sealed(engine)?;
        return Ok(Sealing { row: SealRow::Store, key: None, wrap: None });
    };
    let current = encryption::current_key(&Moment::now(&engine.view()), bucket.id, key_id)?;
    let (generation, row, root) = match current {
        Some((generation, row)) => {
            let root = unwrap(engine, generation, &row)?;
            (generation, row, root)
        }
        None => {
            let made = engine.vault().make_once(bucket.id, key_id);
            let made =
                made.ok_or_else(|| no_provider(engine, key_id))?.map_err(|why| explain(key_id, why))?;
            (made.generation, key_row(engine, key_id, made.wrapped, made.commitment), made.key)
        }
    };
    let (key, envelope) = new_envelope(engine, &root);
    let wrap = Some((keys::bucket_key(bucket.id, &generation), row::encode(&row)));
    let row = SealRow::Kms { bucket: bucket.id, key_id: key_id.to_string(), generation, envelope };
    Ok(Sealing { row, key: Some(key), wrap })
}

/// The row of a bucket's key that was made now.
pub fn key_row(engine: &Engine, key_id: &str, wrapped: Vec<u8>, commitment: [u8; 32]) -> BucketKeyRow {
    BucketKeyRow { key_id: key_id.to_string(), wrapped, commitment, made: engine.millis(), retired: false }
}

/// `InvalidArgument` unless the store has a key of its own.
pub fn check_sealed(engine: &Engine) -> Result<()> {
    if engine.ring().is_some() {
        return Ok(());
    }
    Err(Error::invalid(
        "InvalidArgument",
        "AES256 is the store's own key, and this store has none; make the store with `StoreBuilder::key_provider`, or \
         ask for a named key with `Encryption::kms`",
    ))
}

fn unwrap(engine: &Engine, generation: [u8; 16], row: &BucketKeyRow) -> Result<Arc<SecretKey>> {
    let key = engine.vault().unwrap(generation, &row.key_id, &row.wrapped, &row.commitment);
    key.ok_or_else(|| no_provider(engine, &row.key_id))?.map_err(|why| explain(&row.key_id, why))
}

/// Nobody was named who holds a key.
pub fn no_provider(engine: &Engine, key_id: &str) -> Error {
    let why = |what| {
        format!(
            "the key {key_id:?} is needed, and the store was opened with {what}; hand it to `StoreBuilder::kms`"
        )
    };
    if engine.vault().is_empty() {
        return Error::new(ErrorKind::Denied, "KmsServiceNotEnabled", why("no named keys"));
    }
    Error::new(ErrorKind::Denied, "KeyNotFound", why("no key of that name"))
}

/// Why a named key was of no use.
pub fn explain(key_id: &str, why: Locked) -> Error {
    let denied = |why: &str| {
        Error::new(ErrorKind::Denied, "AccessDenied", format!("the key {key_id:?} is of no use: {why}"))
    };
    match why {
        Locked::Provider(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            denied("its provider refuses, or it is another key than the one that wrapped the bucket's")
                .with_source(error)
        }
        Locked::Provider(error) => {
            Error::key_unavailable(format!("the key {key_id:?} could not be had: {error}"), error)
        }
        Locked::Wrong(why) => denied(why),
    }
}

/// An encryption that was found with an object, and what is needed to open it.
#[derive(Debug)]
pub struct Sealed {
    /// As the object's row says.
    pub row: SealRow,
    wrap: Option<BucketKeyRow>,
}

impl Sealed {
    /// The encryption of a row, if its body lies in an envelope.
    pub fn find(row: &ObjectRow, rows: &(impl Rows + ?Sized)) -> Result<Option<Sealed>> {
        let Some(seal) = row.seal().filter(|seal| seal.envelope().is_some()) else {
            return Ok(None);
        };
        let wrap = match seal {
            SealRow::Kms { bucket, generation, .. } => encryption::find_key(rows, *bucket, generation)?,
            _ => None,
        };
        Ok(Some(Sealed { row: seal.clone(), wrap }))
    }

    /// The key of the object, from the bucket's or from the customer's.
    pub fn open(
        &self,
        engine: &Engine,
        name: &str,
        customer: Option<&CustomerKey>,
    ) -> Result<Arc<EnvelopeKey>> {
        let (key, envelope) = match (&self.row, customer) {
            (SealRow::Customer { envelope, .. }, Some(key)) => {
                (EnvelopeKey::new(key.secret(), &envelope.salt), envelope)
            }
            (SealRow::Customer { .. }, None) => {
                return Err(Error::invalid(
                    "InvalidRequest",
                    format!(
                        "the object {name:?} was written with a customer's key; bring it along with `customer_key`"
                    ),
                ));
            }
            (SealRow::Kms { generation, envelope, key_id, .. }, None) => {
                let wrap = self.wrap.as_ref().ok_or_else(|| {
                    let why = format!("its bucket's key, which {key_id:?} has wrapped, is gone");
                    Error::corrupt(format!("the object {name:?}"), 0, why)
                })?;
                (EnvelopeKey::new(&*unwrap(engine, *generation, wrap)?, &envelope.salt), envelope)
            }
            (SealRow::Kms { .. } | SealRow::Store, Some(_)) => return Err(not_applicable(name)),
            (SealRow::Store, None) => unreachable!("there is no envelope around what only the store seals"),
        };
        if key.is_committed_to(&envelope.commitment) {
            return Ok(Arc::new(key));
        }
        Err(Error::new(
            ErrorKind::Denied,
            "AccessDenied",
            format!("the object {name:?} was encrypted with another key than the one that was given"),
        ))
    }
}

/// `InvalidRequest` for a key that was brought along to what has none.
pub fn not_applicable(name: &str) -> Error {
    Error::invalid(
        "InvalidRequest",
        format!(
            "a key was brought along for {name:?}, which was not written with a customer's key; leave it out"
        ),
    )
}

/// The encryption of parts, from what the upload was begun with.
pub fn of_upload(
    engine: &Engine,
    (object, name): (&ObjectRow, &str),
    rows: &impl Rows,
    customer: Option<&CustomerKey>,
) -> Result<Option<Arc<EnvelopeKey>>> {
    match Sealed::find(object, rows)? {
        Some(sealed) => sealed.open(engine, name, customer).map(Some),
        None if customer.is_some() => Err(not_applicable(name)),
        None => Ok(None),
    }
}

/// Whether what is encrypted like this, in whatever bucket, may stand as it is for a copy in the bucket `to`.
pub fn is_as_asked(seal: Option<&SealRow>, asked: &Asked, to: &BucketState) -> bool {
    match (&asked.customer, asked.encryption.as_ref().or(to.encryption.as_ref()), seal) {
        (Some(key), _, Some(SealRow::Customer { envelope, .. })) => {
            EnvelopeKey::new(key.secret(), &envelope.salt).is_committed_to(&envelope.commitment)
        }
        (Some(_), _, _) => false,
        (None, None, _) => true,
        (None, Some(wanted), seal) => match (wanted.key_id(), seal) {
            (None, None | Some(SealRow::Store)) => true,
            (Some(wanted), Some(SealRow::Kms { bucket, key_id, .. })) => {
                *bucket == to.row.id && key_id == wanted
            }
            _ => false,
        },
    }
}

/// Notes in the row of a copy whether the store's own key was asked for, where no byte is written for that.
pub fn rename_store_key(row: &mut ObjectRow, asked: &Asked, to: &BucketState) {
    let wanted = asked.encryption.as_ref().or(to.encryption.as_ref());
    let has_body = row.kind != ObjectKind::Symlink.number();
    if has_body && row.seal().is_none() && wanted.is_some_and(|wanted| wanted.key_id().is_none()) {
        row.set_seal(Some(SealRow::Store));
    }
}

/// Notes how an object is encrypted that is to grow: what grows cannot be put into an envelope. Asked at position 0 only: an
/// object that has bytes goes on as it began (OSS).
pub fn choose_for_growing(
    engine: &Engine,
    bucket: &BucketName,
    asked: Option<&Encryption>,
    row: &mut ObjectRow,
) -> Result<()> {
    match asked {
        None => Ok(()),
        Some(encryption) if encryption.key_id().is_some() => Err(cannot_grow(bucket)),
        Some(_) => {
            engine.require_envelopes()?;
            row.set_seal(Some(SealRow::Store));
            Ok(())
        }
    }
}

/// `OperationNotSupported` for an object that grows.
pub fn cannot_grow(bucket: &BucketName) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "OperationNotSupported",
        format!(
            "objects that grow are not encrypted with a key of their own, as was asked for in the bucket {bucket}; use a bucket without"
        ),
    )
}
