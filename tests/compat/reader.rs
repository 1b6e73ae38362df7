//! A second reader of the format, beside `docs/FORMAT.md`: it uses nothing of the crate and trusts its files.
//!
//! It was written with the source at hand, so it shows that the document is right where it speaks, not that it
//! says all there is to know.

use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;
/// Key to (lsn, value); `None` for a tombstone.
type Map = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

/// The bodies of the objects in the bucket `photos`, by key, each held against its row.
pub fn read_store(files: &Files) -> BTreeMap<String, Vec<u8>> {
    assert_eq!(u64_at(newest_slot(&files["SUPERBLOCK"]), 24), 0, "required features");
    read(files, true)
}

/// The same of a store with packed commits.
pub fn read_packed(files: &Files) -> BTreeMap<String, Vec<u8>> {
    assert_eq!(u64_at(newest_slot(&files["SUPERBLOCK"]), 24), 8, "required features");
    read(files, true)
}

/// The same of a store whose bodies may lie in other tiers.
pub fn read_bodies(files: &Files) -> BTreeMap<String, Vec<u8>> {
    assert_eq!(u64_at(newest_slot(&files["SUPERBLOCK"]), 24), 1, "required features");
    read(files, false)
}

fn read(files: &Files, rows: bool) -> BTreeMap<String, Vec<u8>> {
    let block = newest_slot(&files["SUPERBLOCK"]);
    let mut map = Map::new();
    assert_eq!(block[66], 1, "there is a checkpoint");
    let index = ["index.tree", "index.alt.tree"][usize::from(block[65])];
    if block[67] != 255 {
        let root = Child { page: u64_at(block, 72), sum: u32_at(block, 68) };
        walk_page(&files[index], u32_at(block, 128), root, block[67], &mut map);
    }
    replay(files, u64_at(block, 88), u64_at(block, 96), u64_at(block, 80), &mut map);

    let bucket = live(&map, b"\x02photos").expect("the bucket has a row");
    let row = payload_of(files, &map, &bucket).0;
    assert_eq!(row[..2], [1, 2], "a bucket row of schema 2");
    let mut at = &row[3..];
    assert_eq!(u64::from(row[2]), at.len() as u64);
    let id = bincode_number(&mut at);
    let prefix = [&[0x10][..], &id.to_be_bytes()].concat();
    let mut bodies = BTreeMap::new();
    for (key, (_, value)) in map.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix)) {
        let Some(value) = value else { continue };
        let (row, body) = payload_of(files, &map, value);
        if rows {
            check_object_row(&row, &body);
        }
        bodies.insert(String::from_utf8(key[9..].to_vec()).unwrap(), body);
    }
    bodies
}

fn live(map: &Map, key: &[u8]) -> Option<Vec<u8>> {
    map.get(key)?.1.clone()
}

fn newest_slot(file: &[u8]) -> &[u8] {
    assert_eq!(file.len(), 4 * 4096);
    let sound = |slot: &&[u8]| slot.starts_with(b"OSSICSUP") && crc(&slot[..4092]) == u32_at(slot, 4092);
    let newest = file.chunks(4096).filter(sound).max_by_key(|slot| u64_at(slot, 16)).expect("a sound slot");
    assert_eq!(u32_at(newest, 8), 1, "version");
    newest
}

struct Child {
    page: u64,
    sum: u32,
}

/// Reads a page and everything below it; answers objects and bytes by slot.
fn walk_page(file: &[u8], salt: u32, child: Child, height: u8, map: &mut Map) -> [(u64, u64); 8] {
    let page = &file[child.page as usize * 4096..][..4096];
    let sum = crc(&[&salt.to_le_bytes(), &child.page.to_le_bytes()[..], &page[4..]].concat());
    assert_eq!((sum, sum), (u32_at(page, 0), child.sum), "the sum of page {}", child.page);
    assert_eq!((page[4], page[5]), (if height == 0 { 1 } else { 2 }, height));
    assert_eq!(u64_at(page, 8), child.page);
    let (count, shared) = (usize::from(u16_at(page, 6)), usize::from(u16_at(page, 16)));
    let prefix = &page[24..24 + shared];
    let (hints, offsets) = (24 + shared, 24 + shared + 2 * count);
    let mut totals = [(0, 0); 8];
    let mut last: Option<Vec<u8>> = None;
    for cell in 0..count {
        let mut at = &page[usize::from(u16_at(page, offsets + 2 * cell))..];
        let len = varint(&mut at);
        let rest = take(&mut at, len);
        let hint = [rest.first().copied().unwrap_or(0), rest.get(1).copied().unwrap_or(0)];
        assert_eq!(page[hints + 2 * cell..][..2], hint);
        let key = [prefix, rest].concat();
        assert!(last.is_none_or(|last| last < key) || (height > 0 && cell <= 1), "keys are in order");
        last = Some(key.clone());
        if height == 0 {
            let flags = take(&mut at, 1)[0];
            let (lsn, objects, bytes, len) =
                (varint(&mut at), varint(&mut at), varint(&mut at), varint(&mut at));
            let value = take(&mut at, len).to_vec();
            let slot = &mut totals[usize::from(flags & 7)];
            *slot = (slot.0 + objects, slot.1 + bytes);
            map.insert(key, (lsn, (flags & 8 == 0).then_some(value)));
        } else {
            let below = Child { page: varint(&mut at), sum: u32_at(take(&mut at, 4), 0) };
            let mask = take(&mut at, 1)[0];
            let mut said = [(0, 0); 8];
            for (slot, said) in said.iter_mut().enumerate() {
                if mask & 1 << slot != 0 {
                    *said = (varint(&mut at), varint(&mut at));
                }
            }
            let found = walk_page(file, salt, below, height - 1, map);
            assert_eq!(found, said, "the totals of a subtree");
            for (sum, found) in totals.iter_mut().zip(found) {
                *sum = (sum.0 + found.0, sum.1 + found.1);
            }
        }
    }
    totals
}

/// Applies the log from a position on.
fn replay(files: &Files, mut segment: u64, mut offset: u64, mut lsn: u64, map: &mut Map) {
    loop {
        let file = &files[&format!("log/{segment:016x}.seg")];
        let seed = segment_seed(file, 1, segment);
        let next = loop {
            let at = offset as usize;
            if at + 32 > file.len() || file[at..at + 32].iter().all(|byte| *byte == 0) {
                break None;
            }
            let frame = &file[at..at + 32];
            assert_eq!(
                crc(&frame[..28]) ^ place(seed, offset, u64::MAX - 1),
                u32_at(frame, 28),
                "a frame's sum"
            );
            let (length, word) = (u64_at(frame, 8), u64_at(frame, 16));
            let payload = &file[at + 32..][..length as usize];
            let sum = u32_at(frame, 4) ^ place(seed, offset, u64::MAX);
            match frame[0] {
                kind @ (1 | 2) => {
                    assert_eq!(sum, crc(payload), "a payload's sum");
                    lsn += u64::from(kind == 1);
                    assert_eq!(word, lsn, "lsns are dense");
                    match frame[1] {
                        0 => apply(payload, kind == 2, lsn, map),
                        flags => {
                            assert_eq!((kind, flags), (1, 4), "a packed commit");
                            apply_packed(payload, segment, file, lsn, map);
                        }
                    }
                }
                3 => assert_eq!(sum, crc(&payload[word as usize..]), "the sum of a trailer"),
                4 => break Some(word),
                5 => {}
                6 => assert_eq!(sum, crc(payload), "the sum of short bodies"),
                kind => panic!("a record of kind {kind}"),
            }
            offset = (offset + 32 + length).next_multiple_of(8);
        };
        // A run that began behind this place says so in the header of its first segment.
        let cut = || {
            let says = |file: &&Vec<u8>| (u64_at(file, 56), u64_at(file, 64)) == (segment, offset);
            let logs = files.iter().filter(|(path, _)| path.starts_with("log/")).map(|(_, file)| file);
            logs.filter(|file| u64_at(file, 16) > segment).find(says).map(|file| u64_at(file, 16))
        };
        match next.or_else(cut) {
            Some(next) => (segment, offset) = (next, 128),
            None => return,
        }
    }
}

fn apply(payload: &[u8], moves: bool, lsn: u64, map: &mut Map) {
    let mut at = &payload[24..];
    for _ in 0..varint(&mut at) {
        let tag = take(&mut at, 1)[0];
        let len = varint(&mut at);
        let key = take(&mut at, len).to_vec();
        let own = if moves { varint(&mut at) } else { lsn };
        let value = if tag == 0 {
            let (_slot, _objects, _bytes) = (take(&mut at, 1)[0], varint(&mut at), varint(&mut at));
            let len = varint(&mut at);
            Some(take(&mut at, len).to_vec())
        } else {
            assert_eq!(tag, 1);
            if moves {
                varint(&mut at);
            }
            None
        };
        if map.get(&key).is_none_or(|(newest, _)| *newest <= own) {
            map.insert(key, (own, value));
        }
    }
    assert!(at.is_empty(), "nothing behind the changes");
}

/// `docs/FORMAT.md`, packed commits.
fn apply_packed(payload: &[u8], segment: u64, file: &[u8], lsn: u64, map: &mut Map) {
    let mut at = &payload[24..];
    let (mut key, mut hash_at, mut row, mut end) = (Vec::new(), None, Vec::new(), 0);
    for _ in 0..varint(&mut at) {
        let tag = take(&mut at, 1)[0];
        if tag < 2 {
            let len = varint(&mut at);
            key = take(&mut at, len).to_vec();
            let value = (tag == 0).then(|| {
                let (_slot, _objects, _bytes) = (take(&mut at, 1)[0], varint(&mut at), varint(&mut at));
                let len = varint(&mut at);
                take(&mut at, len).to_vec()
            });
            map.insert(key.clone(), (lsn, value));
            continue;
        }
        assert_eq!(tag & 0xD0, 0x10, "a packed put");
        key.truncate(varint(&mut at) as usize);
        let len = varint(&mut at);
        key.extend_from_slice(take(&mut at, len));
        let offset = end + varint(&mut at) * 8;
        let len = varint(&mut at);
        end = (offset + 8 + len).next_multiple_of(8);
        if tag & 8 == 0 {
            hash_at = (tag & 32 != 0).then(|| varint(&mut at) as usize);
            let len = varint(&mut at);
            row = take(&mut at, len).to_vec();
        }
        let mut entry = vec![2, segment as u8, 1, segment as u8];
        assert!(segment < 128, "a number of one byte");
        put_varint(&mut entry, offset / 8);
        put_varint(&mut entry, len);
        match hash_at {
            None => entry.extend_from_slice(&row),
            Some(hash_at) => {
                entry.extend_from_slice(&row[..hash_at]);
                entry
                    .extend_from_slice(blake3::hash(&file[offset as usize + 8..][..len as usize]).as_bytes());
                entry.extend_from_slice(&row[hash_at..]);
            }
        }
        map.insert(key.clone(), (lsn, Some(entry)));
    }
    assert!(at.is_empty(), "nothing behind the changes");
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The payload and the body that an entry stands for.
fn payload_of(files: &Files, map: &Map, entry: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut at = &entry[1..];
    let _home = varint(&mut at);
    let body = match entry[0] & 3 {
        0 => Vec::new(),
        1 => {
            let len = varint(&mut at);
            take(&mut at, len).to_vec()
        }
        2 => (0..varint(&mut at)).flat_map(|_| blob(files, &mut at)).collect(),
        _ => {
            let name =
                [varint(&mut at).to_be_bytes().to_vec(), (varint(&mut at) as u32).to_be_bytes().to_vec()];
            let len = varint(&mut at) as usize;
            let offset = if entry[0] & 16 == 0 { 0 } else { varint(&mut at) as usize };
            (0..varint(&mut at)).for_each(|_| {
                (0..3).for_each(|_| drop_number(&mut at));
            });
            let pieces = [&[4][..], &name.concat(), &[0; 8]].concat();
            let of_blob = |key: &Vec<u8>| key.starts_with(&pieces[..13]);
            let rows = map.range(pieces.clone()..).take_while(|(key, _)| of_blob(key));
            let whole: Vec<u8> = rows
                .filter_map(|(_, row)| row.1.as_ref())
                .flat_map(|row| payload_of(files, map, row).1)
                .collect();
            whole[offset..offset + len].to_vec()
        }
    };
    let payload = if entry[0] & 4 == 0 { at.to_vec() } else { blob(files, &mut at) };
    (payload, body)
}

/// The body of the blob record at an extent, each chunk held against its sum.
fn blob(files: &Files, at: &mut &[u8]) -> Vec<u8> {
    let (segment, offset, len) = (varint(at), varint(at) * 8, varint(at) as usize);
    let (path, kind) = match files.get(&format!("log/{segment:016x}.seg")) {
        Some(file) => (file, 1),
        None => {
            let name = (0..3)
                .map(|tier| format!("bulk/{tier}/{segment:016x}.seg"))
                .find(|name| files.contains_key(name));
            (&files[&name.expect("a segment that an entry names")], 2)
        }
    };
    if path[15] == 1 {
        return coded_blob(path, segment, offset, len);
    }
    let seed = segment_seed(path, kind, segment);
    if kind == 1 && path[offset as usize] == 7 {
        let head = &path[offset as usize..][..8];
        assert_eq!((head[1], usize::from(u16_at(head, 2))), (0, len), "the head of a short body");
        let body = &path[offset as usize + 8..][..len];
        assert_eq!(crc(body) ^ place(seed, offset, u64::MAX - 2), u32_at(head, 4), "the sum of a short body");
        return body.to_vec();
    }
    let chunk = 1 << path[14];
    let start = offset as usize + 32;
    let (body, sums) = (&path[start..start + len], &path[start + len..]);
    for (index, bytes) in body.chunks(chunk).enumerate() {
        assert_eq!(
            crc(bytes) ^ place(seed, offset, index as u64),
            u32_at(sums, 4 * index),
            "the sum of a chunk"
        );
    }
    body.to_vec()
}

/// `docs/FORMAT.md`, coded blob.
fn coded_blob(file: &[u8], segment: u64, offset: u64, len: usize) -> Vec<u8> {
    let seed = segment_seed(file, 2, segment);
    let frame = &file[offset as usize..][..32];
    assert_eq!(crc(&frame[..28]) ^ place(seed, offset, u64::MAX - 1), u32_at(frame, 28), "a frame's sum");
    assert_eq!((frame[0], u64_at(frame, 16)), (3, len as u64));
    let payload = &file[offset as usize + 32..][..u64_at(frame, 8) as usize];
    let chunk = 1usize << file[14];
    let chunks = len.div_ceil(chunk);
    let owner = payload.len() - usize::from(u16_at(frame, 2));
    let (sums, table) = (owner - 4 * chunks, owner - 8 * chunks);
    let marks = table - 8 * (chunks.saturating_sub(1) / 256);
    assert_eq!(
        u32_at(frame, 4) ^ place(seed, offset, u64::MAX),
        crc(&payload[marks..]),
        "the sum of a trailer"
    );
    let (mut at, mut body) = (0, Vec::new());
    for index in 0..chunks {
        if index > 0 && index % 256 == 0 {
            assert_eq!(u64_at(payload, marks + 8 * (index / 256 - 1)), at as u64, "a mark");
        }
        let word = u32_at(payload, table + 4 * index);
        let stored = &payload[at..at + (word & 0x7FFF_FFFF) as usize];
        at += stored.len();
        let sum = crc(stored) ^ place(seed, offset, index as u64);
        assert_eq!(sum, u32_at(payload, sums + 4 * index), "the sum of a chunk");
        let plain = chunk.min(len - index * chunk);
        if word >> 31 == 0 {
            assert_eq!(stored.len(), plain);
            body.extend_from_slice(stored);
        } else {
            body.extend(zstd::bulk::decompress(stored, plain).unwrap());
        }
    }
    assert_eq!((at, body.len()), (marks, len));
    body
}

/// `docs/FORMAT.md`, rows: kind 2, schema 2.
fn check_object_row(row: &[u8], body: &[u8]) {
    assert_eq!(row[..2], [2, 2]);
    let mut at = &row[2..];
    assert_eq!(varint(&mut at), at.len() as u64);
    assert_eq!(bincode_number(&mut at), body.len() as u64);
    let modified = bincode_number(&mut at);
    assert!((1_700_000_000_000..1_700_000_100_000).contains(&modified));
    assert_eq!(bincode_number(&mut at), 32);
    assert_eq!(take(&mut at, 32), blake3::hash(body).as_bytes());
    assert_eq!(take(&mut at, 2), [0, 0], "class and kind");
    assert_eq!((bincode_number(&mut at), bincode_number(&mut at)), (0, 0), "the commit is that of the entry");
    assert_eq!(take(&mut at, 1), [0], "the null version");
    if take(&mut at, 1) == [1] {
        assert!(bincode_text(&mut at).contains('/'), "a content type");
    }
    for _ in 0..bincode_number(&mut at) {
        let (name, _value) = (bincode_text(&mut at), bincode_text(&mut at));
        assert!(["owner", "x-empty", "long"].contains(&&name[..]));
    }
    assert_eq!(at, [0], "nothing rare");
}

fn bincode_text(at: &mut &[u8]) -> String {
    let len = bincode_number(at);
    String::from_utf8(take(at, len).to_vec()).unwrap()
}

fn bincode_number(at: &mut &[u8]) -> u64 {
    let width = match take(at, 1)[0] {
        251 => 2,
        252 => 4,
        253 => 8,
        small => return u64::from(small),
    };
    take(at, width).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn drop_number(at: &mut &[u8]) {
    let _ = varint(at);
}

fn varint(at: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = take(at, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

fn take<'a>(at: &mut &'a [u8], len: u64) -> &'a [u8] {
    let (head, rest) = at.split_at(len as usize);
    *at = rest;
    head
}

fn segment_seed(file: &[u8], kind: u8, id: u64) -> u32 {
    assert!(file.starts_with(b"OSSICSEG") && crc(&file[..124]) == u32_at(file, 124), "a segment's header");
    assert_eq!((u32_at(file, 8), file[12], u64_at(file, 16)), (1, kind, id));
    crc(&[&file[24..40], &file[16..24], &file[40..48]].concat())
}

fn place(seed: u32, offset: u64, index: u64) -> u32 {
    let mut x = u64::from(seed)
        ^ offset.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x ^ (x >> 32)) as u32
}

/// CRC-32/ISO-HDLC, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
    };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
