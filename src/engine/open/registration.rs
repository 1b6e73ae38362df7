//! Registering a reader, so that a writer in another process keeps what it reads.

use std::path::Path;

use super::options::OpenOptions;
use crate::engine::directory::files::{NAME_LEN, READERS};
use crate::engine::state::reader::Seat;
use crate::env::{LockMode, OpenMode, Site};
use crate::error::{Error, ErrorKind};

/// How often another name is tried for a registration.
const NAMES: u32 = 16;

impl Seat {
    /// Registers.
    pub(in crate::engine) fn take(options: &OpenOptions) -> std::io::Result<Seat> {
        let env = &options.env;
        let readers = options.dir.join(READERS);
        let mut last = std::io::Error::from(std::io::ErrorKind::WouldBlock);
        for _ in 0..NAMES {
            let mut random = [0; NAME_LEN / 2];
            env.entropy.fill(&mut random);
            let path = readers.join(random.map(|byte| format!("{byte:02x}")).concat());
            match env.vfs.lock(&path, LockMode::Exclusive, Site::READERS) {
                Ok(lock) => {
                    let seat = Seat { env: env.clone(), path, lock };
                    // Between its making and its locking the writer may have taken it for a dead one's. That nothing
                    // is written in it yet means the same as what would be.
                    if env.vfs.open(&seat.path, OpenMode::Read, Site::READERS).is_ok() {
                        return Ok(seat);
                    }
                }
                Err(error) => {
                    if error.kind() == std::io::ErrorKind::NotFound {
                        env.vfs.create_dir(&readers, Site::READERS)?;
                    } else if error.kind() != std::io::ErrorKind::WouldBlock {
                        return Err(error);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }
}

pub(in crate::engine) fn cannot_register(dir: &Path, why: std::io::Error) -> Error {
    let told = format!(
        "the store at {} is open for writing, and to read beside the writer a file must be made in {}, which failed ({why}); \
         allow that, or close the store there first",
        dir.display(),
        dir.join(READERS).display()
    );
    Error::new(ErrorKind::Busy, "StoreBusy", told).with_source(why)
}
