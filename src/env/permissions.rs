//! Who may use the files of a store besides the user whose they are.

/// Who may read and write the files of a store besides the user who makes it. The umask of the process takes away from
/// that as it always does, and never adds.
///
/// What is given when a store is made holds from then on: whatever is made in it later gets the permissions, the owner (if
/// root makes it) and the group of the file `SUPERBLOCK`. To change those of a store that there is, change them for all of
/// its files (`chmod -R g+rwX DIR`, `chgrp -R GROUP DIR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// Nobody else: directories have the mode 0700, files 0600. What a store is made with unless something else is said.
    pub const PRIVATE: Permissions = Permissions(0o600);
    /// The group may read: 0750 and 0640.
    pub const GROUP_READS: Permissions = Permissions(0o640);
    /// The group may read and write: 0770 and 0660. For readers beside a writer who is another user, and for writers that
    /// take turns.
    pub const GROUP: Permissions = Permissions(0o660);
    /// Everybody may read: 0755 and 0644.
    pub const EVERYBODY_READS: Permissions = Permissions(0o644);

    /// Those of a file with this mode. Only the bits for reading and writing count, and the owner always has both.
    pub const fn of_mode(mode: u32) -> Permissions {
        Permissions(mode & 0o666 | 0o600)
    }

    /// The mode of files.
    pub const fn file_mode(self) -> u32 {
        self.0
    }

    /// The mode of directories: who may read may enter.
    pub const fn dir_mode(self) -> u32 {
        self.0 | (self.0 & 0o444) >> 2
    }
}

impl Default for Permissions {
    fn default() -> Permissions {
        Permissions::PRIVATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_may_enter() {
        let modes = |permissions: Permissions| (permissions.file_mode(), permissions.dir_mode());
        assert_eq!(modes(Permissions::PRIVATE), (0o600, 0o700));
        assert_eq!(modes(Permissions::GROUP_READS), (0o640, 0o750));
        assert_eq!(modes(Permissions::GROUP), (0o660, 0o770));
        assert_eq!(modes(Permissions::EVERYBODY_READS), (0o644, 0o755));
        assert_eq!(modes(Permissions::of_mode(0o100_444)), (0o644, 0o755));
        assert_eq!(modes(Permissions::of_mode(0o4711)), (0o600, 0o700));
    }
}
