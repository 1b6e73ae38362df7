//! Streaming in and out of an encrypted store, beside the `aes-gcm` crate alone and beside a plain store.
//! `MIB=1024 cargo bench --bench crypto`
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::io::{Read, Write};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::KeyInit;
use aes_gcm::{AeadInOut, Aes256Gcm};
use measure::*;
use ossicle::{Durability, PutOptions, StaticKey, Store};

const STEP: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

fn main() {
    let dir = scratch("crypto");
    let steps = knob("MIB", 512);
    let step = noise(STEP, 1);
    let gcm = Aes256Gcm::new(&[7; 32].into());
    let mut room = step.clone();
    let mut tags = Vec::new();
    let sealing = rate(
        steps,
        time(|| {
            for n in 0..steps {
                for (index, chunk) in room.chunks_mut(CHUNK).enumerate() {
                    let mut nonce = [0; 12];
                    nonce[..8].copy_from_slice(&((n * 16 + index) as u64).to_le_bytes());
                    let tag = gcm.encrypt_inout_detached(&nonce.into(), &[], InOutBuf::from(chunk));
                    tags.push(tag.expect("a tag"));
                }
            }
        }),
    );
    for (name, sealed) in [("plain", false), ("sealed", true)] {
        let builder = Store::builder(dir.join(name));
        let builder = if sealed { builder.key_provider(StaticKey::new([1; 32])) } else { builder };
        let store = builder.open().expect("a store");
        let bucket = store.create_bucket("bench").expect("a bucket");
        let mut writer = bucket.writer("film", PutOptions::new()).expect("a writer");
        let took = time(|| {
            for _ in 0..steps {
                writer.write_all(&step).expect("a write");
            }
        });
        report(&format!("{name}: stream in, MiB, without the sync"), rate(steps, took), "aes-gcm", sealing);
        writer.finish().expect("an object");
        let (long, unsynced) = (noise(64 * STEP, 3), PutOptions::new().durability(Durability::Buffered));
        let took = (0..5).map(|_| {
            let took = time(|| {
                bucket.put_with("reel", &long, unsynced.clone()).expect("an object");
            });
            bucket.delete("reel").expect("a delete");
            took
        });
        let mut took: Vec<_> = took.collect();
        took.sort();
        report(
            &format!("{name}: put of 64 MiB, MiB, without the sync"),
            rate(64, took[2]),
            "aes-gcm",
            sealing,
        );
        let mut buffer = vec![0; STEP];
        for _ in 0..2 {
            let mut object = bucket.get("film").expect("an object");
            let took = time(|| {
                for _ in 0..steps {
                    object.read_exact(&mut buffer).expect("a read");
                }
            });
            report(&format!("{name}: stream out, MiB"), rate(steps, took), "aes-gcm", sealing);
        }
        let body = noise(1000, 2);
        let took = time(|| {
            store
                .write(|tx| {
                    for n in 0..10_000 {
                        tx.put(&bucket, &format!("k{n}"), body.clone())?;
                    }
                    Ok(())
                })
                .expect("a commit");
        });
        say(
            &format!("{name}: puts of 1000 bytes a second, in one commit"),
            format!("{:.0}", rate(10_000, took)),
        );
        let took = time(|| {
            for n in 0..10_000 {
                bucket.get(&format!("k{n}")).and_then(|object| object.bytes()).expect("an object");
            }
        });
        say(&format!("{name}: gets of 1000 bytes a second"), format!("{:.0}", rate(10_000, took)));
        store.close().expect("a close");
    }
    clean(&dir);
}
