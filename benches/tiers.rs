//! Bodies of the colder classes: how small, how fast in and out, beside the raw compressor in the same run.
//! Times are those of one core, so that others on the machine do not count.
//! `MIB=256 OBJECTS=100000 cargo bench --bench tiers`
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::io::Read;

use measure::*;
use ossicle::{
    Bucket, Durability, Maintenance, PutOptions, RestoreOptions, RestoreTimes, Settings, StorageClass, Store,
};

/// The default level and chunk of InfrequentAccess.
const LEVEL: i32 = 1;
const CHUNK: usize = 128 << 10;

/// Lines as a server writes them into its log.
fn text(len: usize) -> Vec<u8> {
    let mut random = Random(5);
    let words = [
        "GET", "POST", "index", "search", "images", "cart", "checkout", "user", "static", "api", "v2",
        "login",
    ];
    let mut out = Vec::with_capacity(len + 256);
    let mut millis = 1_700_000_000_000u64;
    while out.len() < len {
        millis += random.below(500);
        let mut word = || words[random.below(words.len() as u64) as usize];
        let (verb, one, two) = (word(), word(), word());
        let (ip, size, took) = (random.below(1 << 16), random.below(90_000), random.below(900));
        let line = format!(
            "{millis} 10.0.{}.{} {verb} /{one}/{two}/{} HTTP/1.1 200 {size} {took}ms \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
            ip >> 8,
            ip & 255,
            random.below(100_000),
        );
        out.extend_from_slice(line.as_bytes());
    }
    out.truncate(len);
    out
}

/// A JSON object of about 300 bytes.
fn json(random: &mut Random, id: usize) -> String {
    let names = ["Ann", "Bo", "Cy", "Dee", "Eve", "Flo", "Gus", "Hal"];
    let towns = ["Aachen", "Berlin", "Cusco", "Delhi", "Essen", "Fez", "Graz", "Hanoi"];
    let mut of = |list: &[&str; 8]| list[random.below(8) as usize].to_string();
    let (name, town, home) = (of(&names), of(&towns), of(&towns));
    format!(
        "{{\"id\":{id},\"customer\":{{\"name\":\"{name}\",\"email\":\"{}@example.com\",\"city\":\"{town}\"}},\"status\":\"delivered\",\
         \"items\":[{{\"sku\":\"SKU-{:05}\",\"quantity\":{},\"price\":{}.{:02}}}],\"shipping\":{{\"city\":\"{home}\",\"method\":\"standard\",\
         \"tracking\":\"TRK{:010}\"}},\"created\":\"2026-03-{:02}T10:{:02}:00Z\",\"currency\":\"EUR\",\"gift\":false}}",
        name.to_lowercase(),
        random.below(5000),
        1 + random.below(5),
        random.below(200),
        random.below(100),
        random.below(1 << 33),
        1 + random.below(28),
        random.below(60),
    )
}

fn open(dir: &std::path::Path) -> Store {
    let settings = Settings { restore_times: RestoreTimes::NONE, ..Settings::default() };
    Store::builder(dir).settings(settings).maintenance(Maintenance::Manual).open().expect("a store")
}

/// Restores an object if it is frozen.
fn thaw(bucket: &Bucket, key: &str) {
    let meta = bucket.head(key).expect("an object");
    if meta.class >= StorageClass::Archive && meta.restore().is_none() {
        bucket.restore(key, RestoreOptions::new()).expect("a restore");
    }
}

fn raw_in(text: &[u8], level: i32, chunk: usize) -> (f64, usize, Vec<Vec<u8>>) {
    let mut compressor = zstd::bulk::Compressor::new(level).expect("a compressor");
    let mut out = Vec::new();
    let took = cpu_time(|| {
        out = text.chunks(chunk).map(|chunk| compressor.compress(chunk).expect("zstd")).collect()
    });
    (rate(text.len(), took), out.iter().map(Vec::len).sum(), out)
}

fn raw_out(chunks: &[Vec<u8>], chunk: usize) -> f64 {
    let mut decompressor = zstd::bulk::Decompressor::new().expect("a decompressor");
    let mut buffer = vec![0; chunk];
    let mut len = 0;
    let took = cpu_time(|| {
        for bytes in chunks {
            len += decompressor.decompress_to_buffer(bytes, &mut buffer[..]).expect("zstd");
        }
    });
    rate(len, took)
}

/// Streams a body in and reads it again, both through small buffers.
fn stream(store: &Store, key: &str, bytes: &[u8], class: StorageClass) -> (f64, f64) {
    use std::io::Write;
    let bucket = store.bucket("bench").expect("a bucket");
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let key = format!("{key}{run}");
        let options = PutOptions::new().storage_class(class).durability(Durability::Buffered);
        let took = cpu_time(|| {
            let mut writer = bucket.writer(&key, options).expect("a writer");
            bytes.chunks(1 << 20).for_each(|step| writer.write_all(step).expect("a write"));
            writer.finish().expect("an object");
        });
        ins.push(rate(bytes.len(), took));
        thaw(&bucket, &key);
        let mut object = bucket.get(&key).expect("an object");
        let mut buffer = vec![0; 1 << 20];
        let took = cpu_time(|| while object.read(&mut buffer).expect("a read") > 0 {});
        outs.push(rate(bytes.len(), took));
    }
    (median(ins), median(outs))
}

fn ia(dir: &std::path::Path) {
    let len = knob("MIB", 128) << 20;
    let text = text(len);
    let store = open(&dir.join("ia"));
    store.create_bucket("bench").expect("a bucket");
    let (raw, small, chunks) = raw_in(&text, LEVEL, CHUNK);
    let (ours_in, ours_out) = stream(&store, "text", &text, StorageClass::InfrequentAccess);
    let stored = store.stats().tiers[1].live_bytes as usize / RUNS;
    say(
        "IA: text, plain to stored",
        format!(
            "{:.2} times smaller (zstd alone {:.2})",
            len as f64 / stored as f64,
            len as f64 / small as f64
        ),
    );
    report("IA: text in, B", ours_in, "zstd", raw);
    report("IA: text out, B", ours_out, "zstd", raw_out(&chunks, CHUNK));
    let noise = noise(len / 4, 9);
    let (raw, _, _) = raw_in(&noise, LEVEL, CHUNK);
    let (noise_in, noise_out) = stream(&store, "noise", &noise, StorageClass::InfrequentAccess);
    let (plain_in, plain_out) = stream(&store, "plain", &noise, StorageClass::Standard);
    report("IA: noise in, B", noise_in, "zstd", raw);
    report("IA: noise in, B", noise_in, "Standard", plain_in);
    report("IA: noise out, B", noise_out, "Standard", plain_out);
    store.close().expect("a close");
}

fn solid(dir: &std::path::Path) {
    let count = knob("OBJECTS", 100_000);
    let mut stored = Vec::new();
    for class in [StorageClass::Standard, StorageClass::Archive] {
        let store = open(&dir.join(format!("solid-{class}")));
        let bucket = store.create_bucket("bench").expect("a bucket");
        let mut random = Random(3);
        let mut plain = 0;
        for step in 0..count / 1000 {
            store
                .write(|tx| {
                    (step * 1000..step * 1000 + 1000).try_for_each(|id| {
                        let body = json(&mut random, id);
                        plain += body.len();
                        tx.put_with(
                            &bucket,
                            &format!("orders/{id:08}"),
                            body,
                            PutOptions::new().storage_class(class),
                        )
                    })
                })
                .expect("a commit");
        }
        let took = cpu_time(|| {
            store.compact(ossicle::CompactOptions::new()).expect("a compaction");
        });
        let tier = store.stats().tiers[class as usize];
        say(
            &format!("{class}: {count} JSON objects of {} B, settling", plain / count),
            format!("{:.2} s", took.as_secs_f64()),
        );
        // Standard keeps each beside the row or in a record of its own; what its bodies take is at least what they are.
        stored.push(if class == StorageClass::Standard { plain as u64 } else { tier.live_bytes });
        if class == StorageClass::Archive {
            let mut random = Random(7);
            let gets = 2000;
            let keys: Vec<String> =
                (0..gets).map(|_| format!("orders/{:08}", random.below(count as u64))).collect();
            keys.iter().for_each(|key| thaw(&bucket, key));
            let took = cpu_time(|| {
                for key in &keys {
                    bucket.get(key).and_then(|object| object.bytes()).expect("an object");
                }
            });
            say(
                "Archive: get of a packed object",
                format!("{:.0} us", took.as_secs_f64() * 1e6 / f64::from(gets)),
            );
        }
        store.close().expect("a close");
    }
    let times = stored[0] as f64 / stored[1] as f64;
    say(
        "Archive: bodies, Standard to Archive",
        format!("{times:.2} times smaller ({} B an object)", stored[1] as usize / count),
    );
    let each = json(&mut Random(3), 1);
    let alone = zstd::bulk::compress(each.as_bytes(), 9).expect("zstd").len();
    say(
        "the same object compressed alone by zstd 9",
        format!("{:.2} times smaller", each.len() as f64 / alone as f64),
    );
}

fn main() {
    let dir = scratch("tiers");
    ia(&dir);
    solid(&dir);
    clean(&dir);
}
