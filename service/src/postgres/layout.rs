//! Where a private cluster keeps its things: `pgdata/`, `postgres.log`, `lock` and the socket's folder.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{PostgresError, owner::Owner};
use crate::entropy;

/// A unix socket's whole path must be under 107 bytes on Linux and 103 on macOS; `/.s.PGSQL.65535.lock` is 21.
const SOCKET_DIR_BYTES: usize = 80;
/// A log beyond this is begun anew at the next start.
const LOG_BYTES: u64 = 16 << 20;

/// The paths of one cluster. Dropping it removes a socket folder that had to be made elsewhere.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) pgdata: PathBuf,
    pub(super) log: PathBuf,
    pub(super) socket_dir: PathBuf,
    /// The socket's folder is in the temporary folder because the data folder's path is too long.
    socket_is_elsewhere: bool,
}

impl Layout {
    /// Makes the folders; only what Postgres itself writes belongs to `owner`.
    pub(super) fn prepare(root: &Path, owner: Option<Owner>) -> Result<Self, PostgresError> {
        fs::create_dir_all(root).map_err(PostgresError::io(format!("creating {}", root.display())))?;
        // Postgres runs in `/`, so every path must be absolute.
        let root = root.canonicalize().map_err(PostgresError::io(format!("resolving {}", root.display())))?;
        if let Some(owner) = owner {
            open_last_component(&root)?;
            owner.check_reach(&root)?;
        }
        let inside = root.join("socket");
        let socket_is_elsewhere = inside.as_os_str().len() > SOCKET_DIR_BYTES;
        let socket_dir = if socket_is_elsewhere {
            let name = format!("posthaste-{}", hex::encode(entropy::span_id()));
            short_temp_dir().join(name)
        } else {
            inside
        };
        private_dir(&socket_dir, owner)?;
        Ok(Self { pgdata: root.join("pgdata"), log: root.join("postgres.log"), root, socket_dir, socket_is_elsewhere })
    }

    /// The major version of the cluster that is here; `None` when there is none yet.
    pub(super) fn major(&self) -> Result<Option<String>, PostgresError> {
        if !self.pgdata.exists() {
            return Ok(None);
        }
        let file = self.pgdata.join("PG_VERSION");
        let text = fs::read_to_string(&file).map_err(PostgresError::io(format!("reading {}", file.display())))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// An empty folder for `initdb`, whatever an interrupted one left.
    pub(super) fn fresh_partial(&self, owner: Option<Owner>) -> Result<PathBuf, PostgresError> {
        let partial = self.root.join("pgdata.partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(PostgresError::io(format!("removing {}", partial.display())))?;
        }
        private_dir(&partial, owner)?;
        Ok(partial)
    }

    /// Makes a finished `initdb` folder the cluster.
    pub(super) fn adopt(&self, partial: &Path) -> Result<(), PostgresError> {
        fs::rename(partial, &self.pgdata).map_err(PostgresError::io(format!("renaming to {}", self.pgdata.display())))
    }

    /// The log, opened by us so that it need not be writable for the unprivileged user.
    pub(super) fn open_log(&self) -> Result<File, PostgresError> {
        let grown = fs::metadata(&self.log).is_ok_and(|meta| meta.len() > LOG_BYTES);
        let refused = || PostgresError::io(format!("opening {}", self.log.display()));
        if grown {
            File::create(&self.log).map_err(refused())?;
        }
        OpenOptions::new().create(true).append(true).open(&self.log).map_err(refused())
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        if self.socket_is_elsewhere {
            // An empty leftover in the temporary folder harms nobody.
            let _ = fs::remove_dir_all(&self.socket_dir);
        }
    }
}

/// `$TMPDIR` when a socket fits there, else `/tmp`.
fn short_temp_dir() -> PathBuf {
    let configured = env::temp_dir();
    if configured.as_os_str().len() + 32 <= SOCKET_DIR_BYTES { configured } else { PathBuf::from("/tmp") }
}

/// A folder that only the server's user (and root) may enter: its socket trusts whoever reaches it.
fn private_dir(path: &Path, owner: Option<Owner>) -> Result<(), PostgresError> {
    let refused = || PostgresError::io(format!("creating {}", path.display()));
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other.map_err(refused())?,
    }
    owner.map_or(Ok(()), |owner| owner.take(path))
}

/// Lets the unprivileged user pass through (not list) a folder that root made private, as temporary folders are.
fn open_last_component(root: &Path) -> Result<(), PostgresError> {
    let refused = || PostgresError::io(format!("chmod o+x {}", root.display()));
    let mode = fs::metadata(root).map_err(refused())?.permissions().mode();
    if mode & 0o001 == 0 {
        fs::set_permissions(root, fs::Permissions::from_mode(mode | 0o001)).map_err(refused())?;
    }
    Ok(())
}
