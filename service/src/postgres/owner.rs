//! Who a private Postgres runs as: ourselves, or `nobody` when we are root (Postgres refuses to run as root).

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use super::PostgresError;

/// The uid that Linux and most containers reserve for "nobody".
const NOBODY: u32 = 65534;

/// An unprivileged user of `/etc/passwd`: Postgres refuses to start under a uid that is not listed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    /// `None` unless this process is root; then the unprivileged user to become.
    pub(super) fn if_root() -> Result<Option<Self>, PostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(PostgresError::io("reading /etc/passwd"))?;
        Self::in_passwd(&passwd).map(Some).ok_or(PostgresError::NoUnprivilegedUser)
    }

    fn in_passwd(passwd: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (uid == NOBODY).then_some(Self { uid, gid })
        })
    }

    /// Gives `path` (not what is in it) to this user.
    pub(super) fn take(self, path: &Path) -> Result<(), PostgresError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(PostgresError::io(format!("chown {}", path.display())))
    }

    /// Errors unless this user can enter `path` through every ancestor.
    pub(super) fn check_reach(self, path: &Path) -> Result<(), PostgresError> {
        match self.closed_ancestor(path) {
            None => Ok(()),
            Some(closed) => Err(PostgresError::Unreachable { path: path.to_owned(), closed, uid: self.uid }),
        }
    }

    /// The outermost folder on the way to `path` that this user may not enter.
    fn closed_ancestor(self, path: &Path) -> Option<PathBuf> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut ancestors: Vec<_> = path.ancestors().collect();
        ancestors.reverse();
        ancestors
            .into_iter()
            .find(|folder| {
                fs::metadata(folder).is_ok_and(|meta| {
                    let needed = match (meta.uid() == self.uid, meta.gid() == self.gid) {
                        (true, _) => 0o100,
                        (false, true) => 0o010,
                        (false, false) => 0o001,
                    };
                    meta.permissions().mode() & needed == 0
                })
            })
            .map(Path::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_found_by_id_whatever_its_name_and_group() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nghost:x:65534:99:none:/:/bin/false\n";
        let expected = Owner { uid: 65534, gid: 99 };
        assert_eq!(Owner::in_passwd(passwd), Some(expected));
        assert_eq!(Owner::in_passwd("root:x:0:0:root:/root:/bin/sh\n"), None);
    }

    #[test]
    fn a_private_folder_on_the_way_is_named() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Owner { uid: 54321, gid: 54321 };

        let error = stranger.check_reach(&inner).unwrap_err();

        let closed = outer.path().canonicalize().unwrap();
        assert!(error.to_string().contains(&format!("{} is closed", closed.display())));
    }
}
