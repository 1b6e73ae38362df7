//! A store with nothing to do does nothing.
#![cfg(target_os = "linux")]

use std::time::Duration;

use ossicle::Store;

use crate::{argument, in_another_process};

/// What the maintenance threads of this process have done so far: ticks of processor time, and how often they
/// were put to sleep.
fn work_done() -> Vec<(String, u64, u64)> {
    let mut done = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap();
        if read("comm").trim() != "ossicle" {
            continue;
        }
        let stat = read("stat");
        // Behind the name in parentheses; utime and stime are the fields 14 and 15 of the whole line.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = read("status");
        let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        done.push((task.display().to_string(), ticks, switches.trim().parse().unwrap()));
    }
    done
}

/// In a process of its own, where no other test has such threads.
#[test]
fn an_idle_store_uses_no_processor_and_never_wakes() {
    if argument().is_none() {
        return in_another_process("idle::an_idle_store_uses_no_processor_and_never_wakes", "child");
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    for number in 0..100 {
        let options = ossicle::PutOptions::new().durability(ossicle::Durability::Buffered);
        bucket.put_with(&format!("{number}"), vec![1; 20_000], options).unwrap();
    }
    // What is due after the writes may be done first, however long that takes on a busy machine.
    let mut before = work_done();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = work_done();
        if now == before {
            break;
        }
        before = now;
    }
    assert_eq!(before.len(), 1, "one thread named `ossicle`: {before:?}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(work_done(), before);
    drop((bucket, store));
    assert_eq!(work_done(), []);
}
