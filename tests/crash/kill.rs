//! A real process on a real disk, killed at any moment, again and again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ossicle::{Durability, Maintenance, PutOptions, Settings, Store};

use crate::harness::{Dice, effort, seed, world};

/// Says to a child where to write.
const CHILD: &str = "OSSICLE_CRASH_CHILD";

fn open(dir: &Path) -> ossicle::Result<Store> {
    let settings = Settings { reserve_bytes: 0, ..world::settings() };
    Store::builder(dir).settings(settings).maintenance(Maintenance::Background).open()
}

fn body(number: u64) -> Vec<u8> {
    let len = [0, 30, 700, 4000, 9000, 60_000][(number % 6) as usize];
    let mut dice = Dice::new(number);
    (0..len).map(|_| dice.roll() as u8).collect()
}

/// What the child does: says what it begins and what has been acknowledged, until somebody kills it.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let store = open(Path::new(&dir)).unwrap();
    let bucket = store.bucket("one").or_else(|_| store.create_bucket("one")).unwrap();
    let mut dice = Dice::new(std::process::id().into());
    let mut out = std::io::stdout();
    let mut say = |line: String| {
        writeln!(out, "\n{line}").unwrap();
        out.flush().unwrap();
    };
    loop {
        let (key, number) = (dice.below(40), dice.roll() >> 8);
        match dice.below(8) {
            0 => {
                say(format!("begin {key} -"));
                bucket.delete(&format!("k{key}")).unwrap();
            }
            7 => {
                store.checkpoint().unwrap();
                if dice.below(3) == 0 {
                    store.compact(ossicle::CompactOptions::new()).unwrap();
                }
                continue;
            }
            kind => {
                say(format!("begin {key} {number}"));
                // Killed is not cut: what is buffered is there for the next process as well.
                let durability = if kind < 3 { Durability::Buffered } else { Durability::Synced };
                bucket
                    .put_with(&format!("k{key}"), body(number), PutOptions::new().durability(durability))
                    .unwrap();
            }
        }
        say("done".to_string());
    }
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let cycles = effort::number("OSSICLE_CRASH_KILLS", 5, 25);
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("store");
    let mut dice = Dice::new(seed());
    let mut model: BTreeMap<String, u64> = BTreeMap::new();
    let mut acknowledged = 0;
    for cycle in 0..cycles {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>());
        std::thread::sleep(Duration::from_millis(20 + dice.below(250)));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut begun: Option<(String, Option<u64>)> = None;
        for line in reader.join().unwrap() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["begin", key, number] => begun = Some((format!("k{key}"), number.parse().ok())),
                ["done"] => {
                    acknowledged += 1;
                    match begun.take().unwrap() {
                        (key, Some(number)) => drop(model.insert(key, number)),
                        (key, None) => drop(model.remove(&key)),
                    }
                }
                _ => {}
            }
        }
        let store = open(&dir).unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
        let Ok(bucket) = store.bucket("one") else {
            assert!(model.is_empty(), "cycle {cycle}: the bucket is gone");
            continue;
        };
        if let Some((key, number)) = begun {
            // The one in flight: there or not, but whole.
            let now = bucket.get(&key).ok().map(|object| object.bytes().unwrap());
            if now.as_deref() == number.map(body).as_deref() {
                match number {
                    Some(number) => drop(model.insert(key, number)),
                    None => drop(model.remove(&key)),
                }
            }
        }
        let listed: Vec<String> =
            bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
        assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>(), "cycle {cycle}");
        for (key, number) in &model {
            let bytes = bucket.get(key).unwrap().bytes().unwrap();
            assert!(bytes[..] == body(*number)[..], "cycle {cycle}: {key} has other bytes");
        }
        world::verify(&store).unwrap();
        store.close().unwrap();
    }
    println!("kills: {cycles}, acknowledged: {acknowledged}");
    assert!(acknowledged > cycles, "the children hardly came to anything");
}
