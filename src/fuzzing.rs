//! The door for fuzz targets: each function decodes hostile bytes, walks what comes of them, and asserts the round trip.
//!
//! What is decoded is encoded again and must come back: byte for byte where the format has one form for each value
//! (commits, entries), as the same value where a reader accepts more than a writer writes (frames, headers,
//! superblocks, rows and pages may carry bytes that a reader does not look at).
//!
//! A fuzzer does not guess a checksum. So the functions look at the bytes as they are and once more with the sums
//! set right, and the `reseal` functions do the same to whole files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::api::parse_key_file;
use crate::catalog::changes::note;
use crate::catalog::keyspace::keys;
use crate::catalog::{budget, encryption, lifecycle};
use crate::crypto::{
    Chance, KeyProvider, Keyring, MAX_WRAPPED, Passphrase, SecretKey, StaticKey, Vault, Wrapped,
};
use crate::engine::{self, BlobHead, StoredCursor};
use crate::format::FORMAT_VERSION;
use crate::format::checksum::{crc, place, segment_seed};
use crate::format::coded::{StoredChunk, Trailer};
use crate::format::commit::{self, Change};
use crate::format::entry::{Body, Entry, Extent, Payload};
use crate::format::frame::{self, Decoded, FRAME_LEN, Frame};
use crate::format::notice::{self, STANDING_LEN, Standing, USE_LEN};
use crate::format::packed;
use crate::format::page::{self, HEADER, MAX_HEIGHT, PAGE, Page, cell_size};
use crate::format::row::{
    self, AccessMonitorRow, BucketKeyRow, BucketRow, BudgetRow, EncryptionRow, LifecycleRow, ObjectRow,
    PendingWork, PieceRow, ReportRow, Row, RunRow, UploadRow,
};
use crate::format::segment_header::{HEADER_LEN, SegmentHeader};
use crate::format::superblock::{SLOT_LEN, SLOTS, Superblock};
use crate::segment::restore;

/// The kinds of rows.
const KINDS: [u8; 13] = [1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 24, 26, 27];

/// No row is of a schema with a higher number.
const MOST_SCHEMAS: u8 = 4;

const SUM_PAYLOAD: u64 = 1 << 32;

const SUM_FRAME: u64 = (1 << 32) + 1;

/// A record: eight bytes for the place, a frame, and the payload of a commit or moves record.
pub fn record(bytes: &[u8]) {
    let Some((place_bytes, bytes)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let word = u64::from_le_bytes(*place_bytes);
    let (seed, offset) = ((word >> 32) as u32, (word & 0xFFFF_FFFF) * frame::ALIGN);
    if let Some((head, payload)) = bytes.split_first_chunk::<FRAME_LEN>() {
        let mut sealed = *head;
        let sum = crc(&sealed[..28]) ^ place(seed, offset, SUM_FRAME);
        sealed[28..].copy_from_slice(&sum.to_le_bytes());
        for bytes in [head, &sealed] {
            if let Decoded::Frame(frame) = Frame::decode(bytes, seed, offset) {
                let encoded = frame.encode(seed, offset);
                assert_eq!(Frame::decode(&encoded, seed, offset), Decoded::Frame(frame));
                assert!(frame.record_len() >= FRAME_LEN as u64 + frame.length);
            }
        }
        payload_of(payload);
    }
    payload_of(bytes);
}

fn payload_of(payload: &[u8]) {
    let mut hash_of = |extent: &Extent| Ok::<_, ()>(*blake3::hash(&extent.offset.to_le_bytes()).as_bytes());
    if let Ok(plain) = packed::unpack(payload, 7, &mut hash_of) {
        let (_, mut changes) = commit::open(&plain, false).expect("what was unpacked is a commit");
        assert!(changes.all(|change| change.is_ok()));
    }
    for own_lsns in [false, true] {
        let Ok((head, changes)) = commit::open(payload, own_lsns) else {
            continue;
        };
        let Ok(changes) = changes.collect::<Result<Vec<_>, _>>() else {
            continue;
        };
        assert_eq!(changes.len() as u64, head.count);
        let mut again = Vec::new();
        head.encode(&mut again);
        for change in &changes {
            change.encode(&mut again);
            if let Change::Put { entry: bytes, .. } = change {
                entry(bytes);
            }
        }
        assert_eq!(again, payload, "a commit has one form");
    }
}

/// The trailer of a coded body, and a chunk of it. What a chunk is decompressed to has the length that was asked for.
pub fn coded(bytes: &[u8]) {
    let Some((head, stored)) = bytes.split_first_chunk::<16>() else { return };
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let (word, length) = (number(0), u64::from(number(4)) | u64::from(number(12)) << 32);
    if let Ok(trailer) = Trailer::of(length, number(8) as u16, u64::from(number(12))) {
        assert!(trailer.chunks <= trailer.marks && trailer.marks <= trailer.table && trailer.owner <= length);
    }
    let plain = u64::from(number(8)) % (1 << 24);
    for seal in [0, 16] {
        if let Ok(chunk) = StoredChunk::read(word, plain, seal) {
            assert_eq!(StoredChunk::read(chunk.word(), plain, seal), Ok(chunk));
        }
    }
    for compressed in [false, true] {
        let mut out = Vec::new();
        let chunk = StoredChunk { len: stored.len() as u64, compressed };
        if restore(chunk, stored, if compressed { plain } else { chunk.len }, &mut out).is_ok() {
            assert_eq!(out.len() as u64, if compressed { plain } else { chunk.len });
        }
    }
}

/// An entry of the index.
pub fn entry(bytes: &[u8]) {
    let Ok(decoded) = Entry::decode(bytes) else { return };
    let mut again = Vec::new();
    decoded.encode(&mut again);
    assert_eq!(again, bytes, "an entry has one form");
    let total: u64 = decoded.extents().map(|extent| extent.len).fold(0, u64::saturating_add);
    match &decoded.body {
        Body::Extents(list) => assert!(list.iter().count() > 0),
        Body::Shared { offset, len, hint, .. } => {
            let hinted: u64 = hint.iter().map(|extent| extent.len).sum();
            assert!(hinted == 0 || hinted >= offset + len);
        }
        Body::None | Body::Inline(_) => assert!(matches!(decoded.payload, Payload::Spilled(_)) || total == 0),
    }
    if let Payload::Inline(payload) = decoded.payload {
        row(payload);
    }
}

/// A row of the catalog, of every kind and schema.
pub fn row(bytes: &[u8]) {
    row_as_it_is(bytes);
    for kind in KINDS {
        for schema in 1..=MOST_SCHEMAS {
            // The head set right, so that any body reaches the codec.
            let mut framed = vec![kind, schema];
            crate::format::varint::put(&mut framed, bytes.len() as u64);
            framed.extend_from_slice(bytes);
            row_as_it_is(&framed);
        }
    }
}

fn row_as_it_is(bytes: &[u8]) {
    row_of::<ObjectRow>(bytes);
    row_of::<BucketRow>(bytes);
    row_of::<PieceRow>(bytes);
    row_of::<UploadRow>(bytes);
    row_of::<PendingWork>(bytes);
    row_of::<AccessMonitorRow>(bytes);
    row_of::<RunRow>(bytes);
    row_of::<ReportRow>(bytes);
    row_of::<BucketKeyRow>(bytes);
    // What is made of these has limits of its own, and comes back as it was.
    row_of::<LifecycleRow>(bytes);
    if let Ok(row) = row::decode::<LifecycleRow>(bytes)
        && let Ok(rules) = lifecycle::of_row(row.clone())
    {
        let again =
            lifecycle::to_row(&crate::model::InForce { lifecycle: rules.clone(), set: row.set.clone() });
        assert_eq!((again.set.clone(), lifecycle::of_row(again).ok()), (row.set, Some(rules)));
    }
    row_of::<BudgetRow>(bytes);
    if let Ok(limit) =
        row::decode::<BudgetRow>(bytes).map_err(drop).and_then(|row| budget::of_row(row).map_err(drop))
    {
        assert_eq!(budget::of_row(budget::to_row(&limit)).ok(), Some(limit));
    }
    row_of::<EncryptionRow>(bytes);
    if let Ok(said) = row::decode::<EncryptionRow>(bytes)
        .map_err(drop)
        .and_then(|row| encryption::of_row(row).map_err(drop))
    {
        assert_eq!(encryption::of_row(encryption::to_row(&said)).ok(), Some(said));
    }
    if let Ok(said) = note::decode(bytes) {
        assert_eq!(note::decode(&note::encode(&said)).ok(), Some(said));
    }
    if let Ok(head) = BlobHead::decode(bytes) {
        assert_eq!(BlobHead::decode(&head.encode()).ok(), Some(head));
    }
}

fn row_of<R: Row + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(decoded) = row::decode::<R>(bytes) {
        assert_eq!(row::decode::<R>(&row::encode(&decoded)), Ok(decoded));
    }
}

/// A slot of the superblock; short input is filled up with zeros.
pub fn superblock(bytes: &[u8]) {
    let mut slot = vec![0; SLOT_LEN];
    let len = bytes.len().min(SLOT_LEN);
    slot[..len].copy_from_slice(&bytes[..len]);
    let _ = Superblock::decode(bytes);
    for sealed in [false, true] {
        if sealed {
            seal_slot(&mut slot);
        }
        if let Ok(block) = Superblock::decode(&slot) {
            assert_eq!(Superblock::decode(&block.encode()), Ok(block));
        }
    }
    slot[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    slot[24..32].fill(0);
    seal_slot(&mut slot);
    if let Ok(block) = Superblock::decode(&slot) {
        assert_eq!(Superblock::decode(&block.encode()), Ok(block));
    }
}

fn seal_slot(slot: &mut [u8]) {
    slot[..8].copy_from_slice(b"OSSICSUP");
    let sum = crc(&slot[..SLOT_LEN - 4]);
    slot[SLOT_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
}

/// The header of a segment; short input is filled up with zeros.
pub fn segment_header(bytes: &[u8]) {
    let mut header = [0; HEADER_LEN];
    let len = bytes.len().min(HEADER_LEN);
    header[..len].copy_from_slice(&bytes[..len]);
    for sealed in [false, true] {
        if sealed {
            seal_header(&mut header);
        }
        if let Ok(decoded) = SegmentHeader::decode(&header) {
            assert_eq!(SegmentHeader::decode(&decoded.encode()), Ok(decoded));
        }
    }
}

fn seal_header(header: &mut [u8]) {
    header[..8].copy_from_slice(b"OSSICSEG");
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let sum = crc(&header[..HEADER_LEN - 4]);
    header[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&sum.to_le_bytes());
}

/// A page of the index; short input is filled up with zeros. The first bytes behind the page are looked up as keys.
pub fn page(bytes: &[u8]) {
    let _ = Page::open(bytes, 0, 0);
    let mut filled = vec![0; PAGE];
    let len = bytes.len().min(PAGE);
    filled[..len].copy_from_slice(&bytes[..len]);
    let number = u64::from_le_bytes(filled[8..16].try_into().expect("eight bytes"));
    let height = filled[5];
    filled[4] = if height == 0 { 1 } else { 2 };
    let Ok(page) = Page::open(&filled, number, height) else {
        return;
    };
    let sought = bytes.get(PAGE..).unwrap_or_default();
    let prefixed = [page.prefix(), sought].concat();
    for key in [&[][..], sought, page.prefix(), &prefixed] {
        if let Ok((index, exact)) = page.find(key) {
            assert!(index <= page.count() && !(exact && index == page.count()));
        }
        assert!(page.route(key).is_ok_and(|index| index < page.count()) || page.route(key).is_err());
    }
    let cells: Result<Vec<_>, _> = (0..page.count()).map(|index| cell(&page, height, index)).collect();
    if let Ok(cells) = cells {
        come_back(&page, number, height, &cells);
    }
}

/// The whole key and the tail of a cell, encoded as a writer would.
fn cell(page: &Page<'_>, height: u8, index: usize) -> Result<(Vec<u8>, Vec<u8>), page::Reason> {
    let (suffix, raw) = page.raw(index)?;
    assert_eq!(page.suffix(index)?, suffix);
    let _ = page.has_right_hint(index)?;
    let mut tail = Vec::new();
    if height == 0 {
        page.leaf(index)?;
        // The value's range counts from where the cell was read.
        let leaf = page::decode_leaf_tail(raw, &mut 0)?;
        page::encode_leaf_tail(&mut tail, leaf.lsn, leaf.tombstone, leaf.weight, &raw[leaf.value.clone()]);
        assert_eq!(tail, raw, "a leaf cell has one form behind its key");
    } else {
        let (child, totals) = (page.child(index)?, page.child_totals(index)?);
        page::encode_branch_tail(&mut tail, child, &totals);
    }
    let key = if height > 0 && index == 0 { Vec::new() } else { [page.prefix(), suffix].concat() };
    Ok((key, tail))
}

/// If a writer could have written the cells into one page, they come back from it.
fn come_back(page: &Page<'_>, number: u64, height: u8, cells: &[(Vec<u8>, Vec<u8>)]) {
    let size: usize = cells.iter().map(|(key, tail)| cell_size(key.len(), tail.len())).sum();
    let is_sorted = cells.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if HEADER + size > PAGE || !is_sorted || height > MAX_HEIGHT {
        return;
    }
    let mut out = [0; PAGE];
    let sum =
        page::encode(&mut out, (number, height, 7), cells.len(), |index| (&cells[index].0, &cells[index].1));
    assert_eq!(page::stored_checksum(&out), Some(sum));
    assert_eq!(page::checksum(&out, 7, number), sum);
    let again = Page::open(&out, number, height).expect("a page that was just written");
    assert_eq!(again.count(), page.count());
    for (index, (key, tail)) in cells.iter().enumerate() {
        let (suffix, raw) = again.raw(index).expect("a cell that was just written");
        let whole = if height > 0 && index == 0 { Vec::new() } else { [again.prefix(), suffix].concat() };
        assert_eq!((&whole, raw), (key, &tail[..]));
        assert_eq!(again.has_right_hint(index), Ok(true));
        if height == 0 {
            assert_eq!(again.find(key), Ok((index, true)));
        } else {
            assert_eq!(again.route(key), Ok(index));
        }
    }
}

/// A key of the index, taken apart as the catalog does it.
pub fn key(bytes: &[u8]) {
    if let Some((bucket, object)) = keys::parse_access(bytes) {
        assert_eq!(keys::access(bucket, object.as_bytes()), bytes);
    }
    if let Some((bucket, generation)) = keys::parse_bucket_key(bytes) {
        assert_eq!(keys::bucket_key(bucket, &generation), bytes);
    }
    if let Some((bucket, name)) = keys::parse_config(bytes) {
        assert_eq!(keys::config(bucket, name), bytes);
    }
    if let Some((object, lsn, n)) = keys::parse_upload(bytes) {
        let bucket = bytes[1..].first_chunk().map_or(0, |id| u64::from_be_bytes(*id));
        assert_eq!(keys::upload(bucket, &object, lsn, n), bytes);
    }
    let _ = (keys::parse_numbered(bytes), keys::parse_time(bytes), keys::parse_space_refs(bytes));
    let _ = (keys::parse_history(bytes), keys::parse_object(bytes), keys::parse_row(bytes));
    if let Some(place) = keys::parse_place(bytes) {
        let _ = keys::parse_tail(&place.tail);
    }
    let _ = (engine::blob_of(bytes), engine::place_of(bytes), keys::has_body(bytes));
}

/// Small things: the day of an access, a cursor, the notes that writers and readers in other processes leave.
pub fn note_of(bytes: &[u8]) {
    if let Ok(day) = lifecycle::decode_day(bytes) {
        assert_eq!(lifecycle::decode_day(&lifecycle::encode_day(day)).ok(), Some(day));
    }
    if let Ok(cursor) = StoredCursor::decode(bytes) {
        assert_eq!(cursor.encode(), bytes, "a cursor has one form");
    }
    let (mut standing, mut used) = ([0; STANDING_LEN], [0; USE_LEN]);
    let filled = |to: &mut [u8]| to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    filled(&mut standing);
    filled(&mut used);
    for sealed in [false, true] {
        if sealed {
            standing[..8].copy_from_slice(b"OSSICNOW");
            used[..8].copy_from_slice(b"OSSICUSE");
            let sums = [crc(&standing[..40]), crc(&used[..16])].map(u32::to_le_bytes);
            standing[40..].copy_from_slice(&sums[0]);
            used[16..].copy_from_slice(&sums[1]);
        }
        if let Some(said) = Standing::decode(&standing) {
            assert_eq!(Standing::decode(&said.encode()), Some(said));
        }
        let _ = notice::decode_use(&used);
    }
}

/// A key file: what is a key is so in digits, too.
pub fn key_file(bytes: &[u8]) {
    if let Some(key) = parse_key_file(bytes) {
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(parse_key_file(digits.as_bytes()), Some(key));
    }
}

/// Chance that is the same on every run, and never twice the same in one.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Chance for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(bytes);
    }
}

fn chance() -> Arc<dyn Chance> {
    Arc::new(Counting::default())
}

const STORE_ID: [u8; 16] = [9; 16];

const SECRETS: u64 = 3;

/// The keys of a store whose shred root was replaced: the wrapped ones, the root that is gone and the newest, the file of
/// what was kept, and what stands in that.
struct Locks {
    wrapped: Wrapped,
    gone: u64,
    newest: u64,
    file: Vec<u8>,
    kept: Vec<[u8; 32]>,
}

fn locks() -> &'static Locks {
    static LOCKS: OnceLock<Locks> = OnceLock::new();
    LOCKS.get_or_init(|| {
        let (ring, wrapped) = Keyring::make(&provider(), STORE_ID, b"", chance()).expect("keys are made");
        let gone = ring.shred_name();
        let secret = |id| ring.secret(id, 7, gone).expect("its root is there");
        let kept: BTreeMap<_, _> = (0..SECRETS).map(|id| (id, (7, secret(id)))).collect();
        let next = ring.new_shred();
        let (newest, shred) = (next.name(), ring.wrap_shred(&next));
        let file = engine::encode_kept(&ring, &next, &kept);
        let kept = kept.into_values().map(|(_, secret)| *secret.as_bytes()).collect();
        Locks { wrapped: Wrapped { shred, ..wrapped }, gone, newest, file, kept }
    })
}

fn provider() -> StaticKey {
    StaticKey::new([1; 32])
}

/// Flips what the input says: two bytes for a place, one for the bits, again and again.
fn damage(mut bytes: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[at] ^= edit[2];
    }
    bytes
}

/// The file of kept secrets, damaged and made up: a secret is the one that was kept or none.
pub fn kept_secrets(bytes: &[u8]) {
    let locks = locks();
    let damaged = damage(locks.file.clone(), bytes);
    for file in [bytes, &damaged] {
        let ring =
            Keyring::open(&provider(), &locks.wrapped, STORE_ID, b"", chance()).expect("it is the key");
        engine::take_kept(&ring, locks.newest, file);
        let found = |id: u64| ring.secret(id, 7, locks.gone);
        let mut all = true;
        for (id, kept) in (0..).zip(&locks.kept) {
            let secret = found(id);
            assert!(secret.as_ref().is_none_or(|secret| secret.as_bytes() == kept));
            all &= secret.is_some();
        }
        assert!(found(SECRETS).is_none() && ring.secret(0, 8, locks.gone).is_none());
        assert!(all || file == bytes || !ring.knows_what_is_lost(), "what is damaged is not lost for good");
    }
}

/// Wrapped keys, damaged and made up: of a store, by a key and by a passphrase, and of a bucket. What opens is the key.
pub fn wrapped_keys(bytes: &[u8]) {
    let locks = locks();
    let open = |wrapped: &Wrapped| Keyring::open(&provider(), wrapped, STORE_ID, b"", chance());
    let whole = [&locks.wrapped.root[..], &locks.wrapped.commitment, &locks.wrapped.shred].concat();
    let damaged = damage(whole, bytes);
    let (root, rest) = damaged.split_at(locks.wrapped.root.len());
    let (commitment, shred) = rest.split_first_chunk().expect("a commitment");
    let wrapped = Wrapped {
        key_id: String::from_utf8_lossy(bytes).into_owned(),
        root: root.to_vec(),
        commitment: *commitment,
        shred: shred.try_into().expect("a shred root"),
    };
    let same = Wrapped { key_id: String::new(), ..wrapped.clone() }
        == Wrapped { key_id: String::new(), ..locks.wrapped.clone() };
    assert_eq!(open(&wrapped).is_ok(), same);
    let made_up = bytes[..bytes.len().min(MAX_WRAPPED)].to_vec();
    assert!(open(&Wrapped { root: made_up.clone(), ..locks.wrapped.clone() }).is_err());

    let vault = Vault::new(vec![Arc::new(provider().named("k"))], b"", chance());
    let made = vault.make("k").and_then(Result::ok).expect("a key is made");
    let damaged = damage([&made.wrapped[..], &made.commitment].concat(), bytes);
    let (wrapped, commitment) = damaged.split_at(made.wrapped.len());
    let vault = Vault::new(vec![Arc::new(provider().named("k"))], b"", chance());
    let commitment = commitment.try_into().expect("a commitment");
    let found = vault.unwrap(made.generation, "k", wrapped, commitment);
    match found.expect("there is a provider") {
        Ok(key) => assert!(key == made.key && wrapped == made.wrapped && *commitment == made.commitment),
        Err(_) => assert!(wrapped != made.wrapped || *commitment != made.commitment),
    }

    // Little work, whatever the wrap says: how much is believed at most is tested elsewhere.
    let phrase = Passphrase::new("phrase").with_work(8, 1, 1);
    let key = SecretKey::new([5; 32]);
    let wrapped = phrase.wrap(&key, b"context", &[3; 64]).expect("it wraps");
    for mut bad in [damage(wrapped.clone(), bytes), made_up] {
        for (at, byte) in bad.iter_mut().enumerate().take(13).skip(1) {
            *byte &= if at == 1 {
                0x3F
            } else if at % 4 == 1 {
                3
            } else {
                0
            };
        }
        match phrase.unwrap("", &bad, b"context") {
            Ok(found) => assert!(found == key && bad == wrapped),
            Err(_) => assert!(bad != wrapped),
        }
    }
}

/// Sets the checksums of a superblock file right, of every slot that is not all zero.
pub fn reseal_superblock(file: &mut [u8]) {
    for slot in file.chunks_exact_mut(SLOT_LEN).take(SLOTS as usize) {
        if slot.iter().any(|byte| *byte != 0) {
            seal_slot(slot);
        }
    }
}

/// Sets the checksums of a segment's header and of its records right, as far as the lengths lead. The sums of the
/// chunks of bodies are left alone.
pub fn reseal_segment(file: &mut [u8]) {
    if file.len() < HEADER_LEN {
        return;
    }
    seal_header(&mut file[..HEADER_LEN]);
    let word = |file: &[u8], at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes"));
    let store_id: [u8; 16] = file[24..40].try_into().expect("sixteen bytes");
    let seed = segment_seed(&store_id, word(file, 16), word(file, 40));
    let mut at = HEADER_LEN;
    while at + FRAME_LEN <= file.len() && file[at..at + FRAME_LEN].iter().any(|byte| *byte != 0) {
        let length = usize::try_from(word(file, at + 8)).unwrap_or(usize::MAX);
        let end = (at + FRAME_LEN).saturating_add(length);
        if end <= file.len() && matches!(file[at], 1 | 2) {
            let sum = crc(&file[at + FRAME_LEN..end]) ^ place(seed, at as u64, SUM_PAYLOAD);
            file[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        }
        let sum = crc(&file[at..at + 28]) ^ place(seed, at as u64, SUM_FRAME);
        file[at + 28..at + 32].copy_from_slice(&sum.to_le_bytes());
        if end > file.len() {
            return;
        }
        at = end.next_multiple_of(frame::ALIGN as usize);
    }
}

/// Sets the checksum of the root page right, in the page and in every slot of the superblock that names it.
pub fn reseal_root(superblock: &mut [u8], index: &mut [u8]) {
    for slot in superblock.chunks_exact_mut(SLOT_LEN).take(SLOTS as usize) {
        let Ok(block) = Superblock::decode(slot) else {
            continue;
        };
        let Some((number, _, _)) = block.checkpoint.and_then(|checkpoint| checkpoint.root) else {
            continue;
        };
        let Some(start) = usize::try_from(number).ok().and_then(|number| number.checked_mul(PAGE)) else {
            continue;
        };
        let page = start.checked_add(PAGE).and_then(|end| index.get_mut(start..end));
        let Some(page) = page.and_then(|page| <&mut [u8; PAGE]>::try_from(page).ok()) else {
            continue;
        };
        let sum = page::checksum(page, block.page_salt, number);
        page[..4].copy_from_slice(&sum.to_le_bytes());
        slot[68..72].copy_from_slice(&sum.to_le_bytes());
        seal_slot(slot);
    }
}
