//! The programs in `examples/`: each runs, says what it should, and runs a second time in the same directory.

use std::error::Error;
use std::io::Write;
use std::path::Path;

#[allow(dead_code)]
#[path = "../examples/backup_script.rs"]
mod backup_script;
#[allow(dead_code)]
#[path = "../examples/edge_logger.rs"]
mod edge_logger;
#[allow(dead_code)]
#[path = "../examples/encrypted_vault.rs"]
mod encrypted_vault;
#[allow(dead_code)]
#[path = "../examples/job_queue.rs"]
mod job_queue;
#[allow(dead_code)]
#[path = "../examples/photo_album.rs"]
mod photo_album;
#[cfg(feature = "testing")]
#[allow(dead_code)]
#[path = "../examples/report_service.rs"]
mod report_service;

/// What an example prints in its first and in its second run in one directory.
fn twice(run: impl Fn(&Path, &mut dyn Write) -> Result<(), Box<dyn Error>>) -> [String; 2] {
    let directory = tempfile::tempdir().expect("a temporary directory");
    [(); 2].map(|()| {
        let mut out = Vec::new();
        run(&directory.path().join("store"), &mut out).expect("the example runs");
        String::from_utf8(out).expect("examples print text")
    })
}

#[test]
fn photo_album_keeps_numbers_and_drops_a_failed_import() {
    let said = "2026/beach.jpg is number 1\n2026/cat.jpg is number 2\n2027/snow.jpg is number 3\n\
                the broken import left nothing behind\npictures of 2026:\n  2026/beach.jpg\n  2026/cat.jpg\n\
                3 pictures, 3 thumbnails\n";
    assert_eq!(twice(photo_album::run), [said, said]);
}

#[test]
fn edge_logger_stays_within_its_budget() {
    let said = twice(edge_logger::run);
    assert_eq!(
        said[0],
        "after 100 readings: 9916 bytes used of 10000\n\
         without a network: 11 readings wait, then QuotaExceeded\n\
         with the network again: recorded reading/9999\n"
    );
    assert_eq!(said[1], said[0]);
}

#[test]
fn job_queue_does_each_job_once() {
    let said = "  resize/cat.jpg\n  resize/dog.jpg\nfirst worker: 2 jobs\n  print/letter.txt\n  print/poster.txt\n\
                second worker: 2 jobs\nthird worker: 0 jobs\n4 results\n";
    assert_eq!(twice(job_queue::run), [said, said]);
}

#[test]
fn encrypted_vault_changes_its_passphrase_and_shreds() {
    let said = twice(|path, out| {
        encrypted_vault::run(path, out, |text| ossicle::Passphrase::new(text).with_work(64, 1, 1))
    });
    assert_eq!(
        said[0],
        "the vault holds 2 letters\nthe old passphrase: AccessDenied\nno passphrase: AccessDenied\n\
         the new passphrase reads: Dear Ann, nobody else can read this.\n\
         shredded 1 letter, 0 other objects share its body\nto-bob exists: false\n"
    );
    assert_eq!(said[1], said[0]);
}

#[cfg(feature = "testing")]
#[test]
fn report_service_survives_power_cuts_and_a_full_disk() {
    let mut out = Vec::new();
    report_service::run(&mut out).expect("the example runs");
    assert_eq!(
        String::from_utf8(out).expect("examples print text"),
        "every power cut kept what was acknowledged\n\
         a full disk says StorageFull, and reports stay readable: 1\nwith room again there are 2\n"
    );
}

#[test]
fn backup_script_restores_what_it_backed_up() {
    let said = "the second backup copied less than it kept\nthe backup restores to 21 letters\n";
    let said_twice = twice(|path, out| backup_script::run(path, &path.with_extension("backup"), out));
    assert_eq!(said_twice, [said, said]);
}
