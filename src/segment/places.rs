//! Places: the directories in which the bulk segments of each tier lie, in the store or on another disk.
//!
//! A tier that lies elsewhere has a note of that in its directory in the store, so that whoever opens the store finds its
//! segments. There they lie in a directory with the store's id for its name, so that stores can share a disk, and so that
//! a disk that is not there is not mistaken for an empty one; and within that in one with the tier's number, so that tiers
//! can share a disk too.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::names::{TIERS, bulk_dir, parse_file_name};
use crate::env::{Env, Listed, OpenMode, Planted, Site};
use crate::error::{Error, Result};
use crate::format::checksum::crc;

/// What the name of a note begins with; a number follows, and the highest counts.
const NOTE: &str = "place.";

const MAGIC: &[u8; 8] = b"OSSICPLC";

/// The longest path that a note holds.
const MAX_PATH: usize = 3072;

/// Where the segments of a tier lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Their directory, if it is not the one in the store.
    pub elsewhere: Option<PathBuf>,
    /// Why that directory cannot be used.
    pub out: Option<String>,
}

impl Place {
    /// The directories that segments of a tier may lie in.
    pub fn dirs(&self, store: &Path, tier: u8) -> Vec<PathBuf> {
        std::iter::once(bulk_dir(store, tier)).chain(self.elsewhere.clone()).collect()
    }
}

/// The directory of a store's tier within one that stores and tiers may share.
fn own(dir: &Path, store_id: &[u8; 16], tier: u8) -> PathBuf {
    let name: String = store_id.iter().map(|byte| format!("{byte:02x}")).collect();
    dir.join(name).join(tier.to_string())
}

/// Where each tier lies, as the notes in the store say. `wanted` is where it shall lie, if the store is being opened for
/// writing.
pub fn find_places(
    env: &Env,
    store: &Path,
    store_id: &[u8; 16],
    wanted: Option<&[Option<PathBuf>]>,
) -> Result<Vec<Place>> {
    // A sync that has failed is not believed when another tier tries it again.
    let mut unsure = Vec::new();
    let find = |tier: u8| {
        let home = bulk_dir(store, tier);
        let noted = read_note(env, &home).map_err(|error| {
            Error::io(format!("looking where tier {tier} lies, in {}", home.display()), error)
        })?;
        let wanted = wanted.and_then(|wanted| wanted.get(usize::from(tier))?.clone());
        let place = match wanted.filter(|wanted| noted.as_ref().is_none_or(|(_, noted)| noted != wanted)) {
            None => noted.map_or_else(Place::default, |(_, noted)| look(env, own(&noted, store_id, tier))),
            Some(wanted) => settle(env, &home, store_id, tier, noted, &wanted, &mut unsure)?,
        };
        Ok(held(env, place))
    };
    (0..TIERS).map(find).collect()
}

/// Lists a directory on another disk, a second time if the first fails: what is not there is out of service until the next
/// opening, and an error that does not last is no reason for that.
pub fn list_elsewhere(env: &Env, dir: &Path) -> std::io::Result<Vec<Listed>> {
    env.vfs.list(dir, Site::STORE_LIST).or_else(|_| env.vfs.list(dir, Site::STORE_LIST))
}

/// Holds the directory of a place, so that what lies under its name later is not taken for it.
fn held(env: &Env, place: Place) -> Place {
    match (&place.elsewhere, &place.out) {
        (Some(dir), None) => match env.also_hold(dir) {
            Ok(()) => place,
            Err(error) => {
                let out = format!("{} cannot be used: {error}", dir.display());
                Place { out: Some(out), ..place }
            }
        },
        _ => place,
    }
}

fn look(env: &Env, own: PathBuf) -> Place {
    let out = list_elsewhere(env, &own).err();
    let out = out.map(|error| format!("{} cannot be used: {error}", own.display()));
    Place { elsewhere: Some(own), out }
}

/// Lets a tier lie in `wanted` from now on, if that loses nothing.
fn settle(
    env: &Env,
    home: &Path,
    store_id: &[u8; 16],
    tier: u8,
    noted: Option<(u64, PathBuf)>,
    wanted: &Path,
    unsure: &mut Vec<PathBuf>,
) -> Result<Place> {
    let (there, shown) = (own(wanted, store_id, tier), wanted.display());
    let segments = |dir: &Path| {
        let listed = env.vfs.list(dir, Site::STORE_LIST).ok()?;
        Some(listed.iter().any(|listed| parse_file_name(&listed.name).is_some()))
    };
    if let Some((_, noted)) = &noted {
        let before = own(noted, store_id, tier);
        match (segments(&before), segments(&there)) {
            (Some(true), _) => {
                return Err(Error::invalid(
                    "InvalidArgument",
                    format!(
                        "tier {tier} lies in {}; with the store closed, move that directory to {}, then open the \
                         store with this setting",
                        before.display(),
                        there.display()
                    ),
                ));
            }
            (None, Some(false) | None) => {
                let why = format!("neither {} nor segments in {shown} are there", before.display());
                return Ok(Place { elsewhere: Some(there), out: Some(why) });
            }
            _ => {}
        }
    }
    let Some(path) = wanted.to_str().filter(|path| path.len() <= MAX_PATH && wanted.is_absolute()) else {
        let why = format!(
            "the directory of tier {tier} must be an absolute path in UTF-8 of at most {MAX_PATH} bytes"
        );
        return Err(Error::invalid("InvalidArgument", why));
    };
    let number = noted.map_or(0, |(number, _)| number + 1);
    let made = match there.ancestors().find(|dir| unsure.iter().any(|unsure| unsure == dir)) {
        Some(_) => Err(std::io::Error::other("its name could not be made durable")),
        None => make_durably(env, &there, unsure).and_then(|()| write_note(env, home, number, path)),
    };
    let out = made.err().map(|error| format!("{} cannot be used: {error}", there.display()));
    Ok(Place { elsewhere: Some(there), out })
}

/// Makes a directory whose name no power cut takes away. What was made in vain is removed: whoever comes next would find it,
/// and a name whose sync has failed is not made durable by another sync.
fn make_durably(env: &Env, dir: &Path, unsure: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let is_missing = |dir: &&Path| match env.vfs.list(dir, Site::STORE_LIST) {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let made: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    // The one above is the store's as well, and made as such.
    let above = dir.parent().unwrap_or(dir);
    let create = |dir| env.vfs.create_dir(dir, Site::STORE_DIR);
    let done = create(above).and_then(|()| create(dir)).and_then(|()| {
        sync_above(env, dir).map_err(|(dir, error)| {
            unsure.push(dir.to_path_buf());
            error
        })
    });
    if done.is_err() {
        for dir in made {
            let _ = env.vfs.remove_dir(dir, Site::STORE_DIR);
        }
    }
    done
}

/// Makes the name of a directory durable, and those of the directories above it, which may be as new. Says which of them
/// could not be synced.
pub fn sync_above<'d>(env: &Env, dir: &'d Path) -> std::result::Result<(), (&'d Path, std::io::Error)> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    for parent in dir.ancestors().skip(1) {
        let shown = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match env.vfs.sync_dir(shown, Site::STORE_DIR) {
            Ok(()) => {}
            // A directory that this user may not open, or that cannot be synced, was not made here.
            Err(e)
                if matches!(e.kind(), PermissionDenied | InvalidInput | Unsupported | ReadOnlyFilesystem) =>
            {
                break;
            }
            Err(error) => return Err((shown, error)),
        }
    }
    Ok(())
}

fn note_name(number: u64) -> String {
    format!("{NOTE}{number}")
}

fn write_note(env: &Env, home: &Path, number: u64, path: &str) -> std::io::Result<()> {
    env.vfs.create_dir(home, Site::STORE_DIR)?;
    if let Some(bulk) = home.parent() {
        env.vfs.sync_dir(bulk, Site::STORE_DIR)?;
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend((path.len() as u32).to_le_bytes());
    bytes.extend_from_slice(path.as_bytes());
    let sum = crc(&bytes);
    bytes.extend(sum.to_le_bytes());
    let name = home.join(note_name(number));
    // One that is torn was left by a crash, and says nothing.
    let _ = env.vfs.remove(&name, Site::STORE_DIR);
    let file = env.vfs.open(&name, OpenMode::CreateNew, Site::STORE_DIR)?;
    let written = (|| {
        file.write_at(&[IoSlice::new(&bytes)], 0, Site::STORE_DIR)?;
        if env.planted(Planted::SkipPlaceSync) {
            return Ok(());
        }
        file.sync_data(Site::STORE_DIR)?;
        env.vfs.sync_dir(home, Site::STORE_DIR)
    })();
    if let Err(error) = written {
        // It seems to be there, but may be gone after a power cut, and what lies elsewhere would not be found.
        let _ = env.vfs.remove(&name, Site::STORE_DIR);
        return Err(error);
    }
    if let Some(before) = number.checked_sub(1) {
        let _ = env.vfs.remove(&home.join(note_name(before)), Site::STORE_DIR);
    }
    Ok(())
}

/// The newest sound note in a tier's directory, and its number. What cannot be read is no reason to believe that there is none:
/// what lies elsewhere would be taken for lost.
fn read_note(env: &Env, home: &Path) -> std::io::Result<Option<(u64, PathBuf)>> {
    let listed = match env.vfs.list(home, Site::STORE_LIST) {
        // A store of an earlier version has no directory for each tier.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        listed => listed?,
    };
    let number = |name: &str| name.strip_prefix(NOTE)?.parse::<u64>().ok();
    let mut numbers: Vec<u64> = listed.iter().filter_map(|listed| number(&listed.name)).collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let read = || {
            let file = env.vfs.open(&home.join(note_name(number)), OpenMode::Read, Site::STORE_LIST)?;
            let size = usize::try_from(file.size()?).ok().filter(|size| *size <= MAX_PATH + 16);
            let mut bytes = vec![0; size.unwrap_or_default()];
            file.read_exact_at(&mut bytes, 0, Site::STORE_LIST).map(|()| bytes)
        };
        match read() {
            Ok(bytes) => match parse_note(&bytes) {
                Some(path) => return Ok(Some((number, path))),
                None => continue,
            },
            // A writer has put another one in its place, or is about to write it.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The path that a note says, if it is whole.
fn parse_note(bytes: &[u8]) -> Option<PathBuf> {
    let (bytes, sum) = bytes.split_last_chunk::<4>()?;
    let (len, path) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let sound = crc(bytes) == u32::from_le_bytes(*sum) && u32::from_le_bytes(*len) as usize == path.len();
    std::str::from_utf8(path).ok().filter(|_| sound).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_where_a_tier_lies_and_a_torn_one_says_nothing() {
        let env = Env::memory();
        let (store, id) = (Path::new("/s"), [7; 16]);
        env.vfs.create_dir(&bulk_dir(store, 0), Site::STORE_DIR).unwrap();
        let find = |wanted: Option<&str>| {
            let wanted = [None, None, wanted.map(PathBuf::from), None, None];
            find_places(&env, store, &id, Some(&wanted)).map(|places| places[2].clone())
        };
        assert_eq!(find(None).unwrap(), Place::default());
        let place = find(Some("/cold")).unwrap();
        assert_eq!((place.elsewhere, place.out), (Some(own(Path::new("/cold"), &id, 2)), None));
        let kept = find(None).unwrap();
        assert_eq!(kept.elsewhere, Some(own(Path::new("/cold"), &id, 2)));
        // Without segments it may lie elsewhere from now on; with some it may not.
        let place = find(Some("/colder")).unwrap();
        let dir = place.elsewhere.unwrap();
        assert_eq!(dir, own(Path::new("/colder"), &id, 2));
        let name = dir.join(super::super::names::file_name(9));
        env.vfs.open(&name, OpenMode::CreateNew, Site::BULK_CREATE).unwrap();
        assert_eq!(find(Some("/cold")).unwrap_err().code(), "InvalidArgument");
        let torn = bulk_dir(store, 2).join(note_name(2));
        env.vfs.open(&torn, OpenMode::CreateNew, Site::STORE_DIR).unwrap();
        assert_eq!(find(None).unwrap().elsewhere, Some(dir));
    }
}
