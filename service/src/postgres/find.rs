//! Finding Postgres server binaries on this machine.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{PostgresError, fetch, owner::Owner};
use crate::config::environment;

/// The oldest major version that Posthaste runs on.
pub const MIN_MAJOR: u32 = 15;

/// A folder with at least `postgres` and `initdb`, all of one major version >= [`MIN_MAJOR`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgBinaries {
    /// Where the executables are; absolute.
    pub bin_dir: PathBuf,
    /// The server's major version, such as 15.
    pub major: u32,
}

impl PgBinaries {
    /// The path of a tool beside the server (`psql`, `pgbench`, …), which may not exist.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// Looks into one folder; the error is a human reason why it cannot be used.
    pub(super) fn probe(bin_dir: &Path) -> Result<Self, String> {
        for tool in ["postgres", "initdb"] {
            let path = bin_dir.join(tool);
            let executable =
                fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
            if !executable {
                return Err(format!("it has no executable `{tool}`"));
            }
        }
        let output = Command::new(bin_dir.join("postgres"))
            .arg("--version")
            .output()
            .map_err(|error| format!("`postgres --version` did not run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let major =
            parse_major(&text).ok_or_else(|| format!("`postgres --version` said {text:?}, which names no version"))?;
        if major < MIN_MAJOR {
            return Err(format!("its version {major} is older than {MIN_MAJOR}"));
        }
        Ok(Self { bin_dir: bin_dir.canonicalize().map_err(|error| error.to_string())?, major })
    }
}

/// Finds a Postgres server: `explicit`, else `POSTHASTE_PG_BIN`, else `pg_config`'s, the newest of
/// `/usr/lib/postgresql/*/bin`, Homebrew's, and one that [`fetch`](super::fetch()) cached before.
///
/// `Ok(None)` when there is none. A folder that was *named* but does not work is an error, so that a typing
/// mistake never silently runs another version. As root, folders that the unprivileged user cannot enter are
/// passed over (or refused, when named).
pub fn find_binaries(explicit: Option<PathBuf>) -> Result<Option<PgBinaries>, PostgresError> {
    let owner = Owner::if_root()?;
    let named = explicit.or_else(|| environment::variable_os("POSTHASTE_PG_BIN").map(PathBuf::from));
    if let Some(path) = named {
        let found = PgBinaries::probe(&path).map_err(|reason| PostgresError::BadBinaries { path, reason })?;
        if let Some(owner) = owner {
            owner.check_reach(&found.bin_dir)?;
        }
        return Ok(Some(found));
    }
    Ok(candidates()
        .iter()
        .filter_map(|folder| PgBinaries::probe(folder).ok())
        .find(|found| owner.is_none_or(|owner| owner.check_reach(&found.bin_dir).is_ok())))
}

/// Every folder worth looking at, best first.
fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = pg_config_bindir().into_iter().collect();
    folders.extend(newest_first(&children_of("/usr/lib/postgresql"), ""));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        folders.extend(newest_first(&children_of(prefix), "postgresql@"));
    }
    folders.extend(fetch::cached_bin_dir());
    folders
}

fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = path.trim();
    (output.status.success() && !path.is_empty()).then(|| PathBuf::from(path))
}

fn children_of(folder: &str) -> Vec<(OsString, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| (entry.file_name(), entry.path())).collect()
}

/// The `bin` folders of children named `<prefix><major>`, highest major first.
fn newest_first(children: &[(OsString, PathBuf)], prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, &PathBuf)> = children
        .iter()
        .filter_map(|(name, path)| {
            let major = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, path))
        })
        .collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, path)| path.join("bin")).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` or `… 18beta1` to its major version.
fn parse_major(version_line: &str) -> Option<u32> {
    let (_, version) = version_line.split_once("(PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_releases_and_betas() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_major(debian), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("mysqld 8"), None);
    }

    #[test]
    fn versions_sort_as_numbers_and_strangers_are_skipped() {
        let child = |name: &str| (OsString::from(name), PathBuf::from("/pg").join(name));
        let children = [child("9"), child("17"), child("tmp"), child("15")];
        let expected = ["/pg/17/bin", "/pg/15/bin", "/pg/9/bin"].map(PathBuf::from);
        assert_eq!(newest_first(&children, ""), expected);
    }

    #[test]
    fn a_named_folder_without_a_server_is_an_error_that_names_the_variable() {
        let empty = tempfile::tempdir().unwrap();

        let error = find_binaries(Some(empty.path().to_owned())).unwrap_err();

        let text = error.to_string();
        assert!(text.contains("no executable `postgres`"), "{text}");
        assert!(text.contains("POSTHASTE_PG_BIN"), "{text}");
    }
}
