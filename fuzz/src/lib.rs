//! What the targets that open whole stores share: a store on a simulated disk, small and the same on every run.

use std::path::Path;
use std::time::{Duration, SystemTime};

use ossicle::testing::FaultyDisk;
use ossicle::{Maintenance, ReadMode, Result, SeededEntropy, Settings, Store, StoreBuilder, VirtualClock};

/// Where the store lies.
pub const DIR: &str = "/s";
/// The bucket that the targets use.
pub const BUCKET: &str = "fuzz";

/// The smallest store that the limits allow, so that a few operations reach every corner.
pub fn settings(mapped: bool) -> Settings {
    Settings {
        chunk_size: 4096,
        inline_max: 32,
        packed_max: 6000,
        segment_size: 1 << 20,
        delta_bytes: 64 << 10,
        checkpoint_log_bytes: 1 << 20,
        read_mode: if mapped { ReadMode::Mapped } else { ReadMode::Positioned },
        page_cache_bytes: 64 << 10,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

/// A builder for the store on `disk`, without threads and without chance.
pub fn builder(disk: &FaultyDisk, seed: u64, mapped: bool) -> StoreBuilder {
    Store::builder(Path::new(DIR))
        .vfs(disk.vfs())
        .clock(VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
        .entropy(SeededEntropy::new(seed))
        .settings(settings(mapped))
        .maintenance(Maintenance::Manual)
}

/// A body that tells its seed and its length, so that no two look alike.
pub fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed ^ ((len as u64) << 32) ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The bytes of an object, `None` if there is none.
pub fn read(store: &Store, key: &str) -> Result<Option<Vec<u8>>> {
    let object = store.bucket(BUCKET).and_then(|bucket| bucket.get(key));
    match object {
        Ok(object) => object.bytes().map(|bytes| Some(bytes.to_vec())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
