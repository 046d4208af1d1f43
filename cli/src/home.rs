//! The folder of `posthaste dev`: its Postgres, its keys, and a note for the other commands while it runs.

use std::{
    fs,
    fs::{File, TryLockError},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::process::{Pid, geteuid, test_kill_process};
use serde::{Deserialize, Serialize};

/// Where `posthaste dev` keeps its data.
#[derive(Debug, Clone, Default, Args)]
pub struct HomeConfig {
    /// Folder of `posthaste dev` (default: ~/.local/share/posthaste/dev; as root /var/lib/posthaste-dev)
    #[arg(long, env = "POSTHASTE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// The folder and what is in it.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    is_default: bool,
}

/// What a running `posthaste dev` tells the other commands. Holds no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: i32,
    /// Its database.
    pub database_url: String,
    /// Its API.
    pub api_url: String,
    /// Its gateway.
    pub gateway_url: String,
}

impl HomeConfig {
    /// The folder that was named, or the usual one.
    pub fn home(&self) -> anyhow::Result<Home> {
        if let Some(named) = &self.data_dir {
            return Ok(Home { root: std::path::absolute(named)?, is_default: false });
        }
        // Postgres never runs as root, and `nobody` may not enter root's home.
        let root = if geteuid().is_root() {
            PathBuf::from("/var/lib/posthaste-dev")
        } else {
            let home = std::env::home_dir().context("there is no home folder; set POSTHASTE_DATA_DIR")?;
            home.join(".local/share/posthaste/dev")
        };
        Ok(Home { root, is_default: true })
    }
}

impl Home {
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What another command needs to find this folder: nothing, or ` --data-dir …`.
    pub fn flag(&self) -> String {
        if self.is_default { String::new() } else { format!(" --data-dir {}", self.root.display()) }
    }

    /// Where the private Postgres is.
    pub fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// The keys that seal endpoint secrets.
    pub fn secret_keys(&self) -> PathBuf {
        self.root.join("secret.keys")
    }

    /// The keys of callback tokens.
    pub fn token_keys(&self) -> PathBuf {
        self.root.join("token.keys")
    }

    /// The log while a live view has the terminal.
    pub fn log(&self) -> PathBuf {
        self.root.join("posthaste.log")
    }

    fn note(&self) -> PathBuf {
        self.root.join("dev.json")
    }

    /// Makes the folder and takes it for this process; the kernel gives it back when the process ends.
    pub fn lock(&self) -> anyhow::Result<File> {
        fs::create_dir_all(&self.root).with_context(|| format!("creating {}", self.root.display()))?;
        let path = self.root.join("dev.lock");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another `posthaste dev` runs in {}; stop it, or give this one a folder of its own with --data-dir",
                self.root.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Leaves the note for other commands.
    pub fn announce(&self, running: &Running) -> anyhow::Result<()> {
        write_private(&self.note(), &serde_json::to_vec_pretty(running)?)
    }

    /// Takes the note away.
    pub fn retract(&self) {
        // A note that stays names a process that is gone, which `running` notices.
        let _ = fs::remove_file(self.note());
    }

    /// Whether a process holds this folder. (A pid alone may be a zombie's, or another process's by now.)
    fn is_locked(&self) -> bool {
        let lock = File::open(self.root.join("dev.lock"));
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The `posthaste dev` that runs here now, if one does.
    pub fn running(&self) -> Option<Running> {
        let running: Running = serde_json::from_slice(&fs::read(self.note()).ok()?).ok()?;
        let pid = Pid::from_raw(running.pid)?;
        let lives = matches!(test_kill_process(pid), Ok(()) | Err(rustix::io::Errno::PERM));
        (lives && self.is_locked()).then_some(running)
    }
}

/// Writes a file that only this user can read, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let aside = path.with_extension("partial");
    let doing = || format!("writing {}", path.display());
    let mut file =
        fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&aside).with_context(doing)?;
    file.write_all(content).with_context(doing)?;
    fs::rename(&aside, path).with_context(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_only_while_its_process_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let home = HomeConfig { data_dir: Some(folder.path().join("dev")) }.home().unwrap();
        let lock = home.lock().unwrap();
        let pid = std::process::id().cast_signed();
        let (database_url, api_url, gateway_url) = ("postgres:///x".to_owned(), String::new(), String::new());
        home.announce(&Running { pid, database_url, api_url, gateway_url }).unwrap();
        assert_eq!(home.running().unwrap().database_url, "postgres:///x");
        assert!(home.lock().unwrap_err().to_string().contains("another `posthaste dev`"));
        drop(lock);
        assert!(home.running().is_none());
    }
}
