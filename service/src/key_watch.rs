//! A key ring that follows its file while the process runs, so that keys are rotated and revoked without a restart.

use std::{
    fmt::{Debug, Display},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::sleep;

use crate::{
    config::{ConfigError, KeySource},
    shutdown::Shutdown,
};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// A ring and the file that it is read from. `Debug` of a ring must show no key: a new ring is logged.
pub struct KeyWatch<K, E> {
    current: Arc<ArcSwap<K>>,
    source: KeySource,
    parse: fn(&str) -> Result<K, E>,
    seen: Option<Mark>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    modified: SystemTime,
    bytes: u64,
    inode: u64,
}

impl Mark {
    /// `None` for a file that cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { modified: meta.modified().ok()?, bytes: meta.len(), inode: meta.ino() })
    }
}

impl<K, E> KeyWatch<K, E>
where
    K: Debug + Send + Sync + 'static,
    E: Display + Send + 'static,
{
    /// Reads the ring. Errors when it cannot be read or parsed.
    pub fn open(source: KeySource, parse: fn(&str) -> Result<K, E>) -> Result<Self, ConfigError> {
        // Before it is read: what is written while it is read is seen at the next look.
        let seen = source.file().and_then(Mark::of);
        let ring = parsed(&source, parse, &source.read()?)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(ring)), source, parse, seen })
    }

    /// The ring as it is now, also after it changed: load it anew for every use.
    pub fn current(&self) -> Arc<ArcSwap<K>> {
        Arc::clone(&self.current)
    }

    /// Looks at the file every second until the soft stop. A file that is gone, or holds no ring, changes nothing and
    /// is warned of once.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = sleep(EVERY) => self.look(),
                () = shutdown.soft().cancelled() => return,
            }
        }
    }

    /// A stat a second, and a read of at most 64 KiB when it tells of a change: short enough for any thread.
    fn look(&mut self) {
        let Some(path) = self.source.file() else { return };
        let mark = Mark::of(path);
        if mark == self.seen {
            return;
        }
        self.seen = mark;
        let setting = self.source.setting();
        match self.source.read().and_then(|text| parsed(&self.source, self.parse, &text)) {
            Ok(ring) => {
                tracing::info!(setting, keys = ?ring, "the key ring was read anew");
                self.current.store(Arc::new(ring));
            }
            Err(error) => {
                tracing::warn!(error = %error, "the changed key ring is not usable; going on with the old one");
            }
        }
    }
}

fn parsed<K, E: Display>(
    source: &KeySource,
    parse: fn(&str) -> Result<K, E>,
    text: &SecretString,
) -> Result<K, ConfigError> {
    parse(text.expose_secret()).map_err(|error| {
        let (said, setting) = (error.to_string(), source.setting());
        // A ring's own error may name the setting too.
        let said = said.strip_prefix(setting).map_or(said.as_str(), |rest| rest.trim_start_matches([':', ' ']));
        ConfigError::one(setting, format!("is no key ring: {said}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of numbers, which stand for keys.
    fn parse(text: &str) -> Result<Vec<u32>, std::num::ParseIntError> {
        text.split(',').map(str::parse).collect()
    }

    fn watch(path: &Path) -> KeyWatch<Vec<u32>, std::num::ParseIntError> {
        let value = SecretString::from(path.to_str().unwrap());
        KeyWatch::open(KeySource::new("POSTHASTE_SOME_KEYS", value), parse).unwrap()
    }

    #[test]
    fn a_changed_file_changes_the_ring_and_a_bad_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, "1").unwrap();
        let mut watch = watch(&path);
        let current = watch.current();
        for (text, ring) in [("2,1", vec![2, 1]), ("broken", vec![2, 1]), ("", vec![2, 1]), ("3,22", vec![3, 22])] {
            fs::write(&path, text).unwrap();
            watch.look();
            assert_eq!(**current.load(), ring, "{text}");
        }
        fs::remove_file(&path).unwrap();
        watch.look();
        assert_eq!(**current.load(), [3, 22], "a file that is gone");
        // As Kubernetes and careful editors do: another file in its place, of the same length.
        fs::write(folder.path().join("new"), "4,22").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        watch.look();
        assert_eq!(**current.load(), [4, 22]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_until_the_soft_stop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, "1").unwrap();
        let (watch, shutdown) = (watch(&path), Shutdown::new());
        let current = watch.current();
        let watching = tokio::spawn(watch.run(shutdown.clone()));
        fs::write(&path, "2,1").unwrap();
        // Time is paused: this passes as soon as everybody waits.
        sleep(EVERY * 2).await;
        assert_eq!(**current.load(), [2, 1]);
        shutdown.begin();
        watching.await.unwrap();
    }

    #[test]
    fn a_ring_that_makes_no_sense_is_refused_at_the_start() {
        let source = KeySource::new("POSTHASTE_SOME_KEYS", SecretString::from("7:x"));
        let Err(error) = KeyWatch::open(source, parse) else { panic!("7:x is no number") };
        assert!(error.to_string().starts_with("POSTHASTE_SOME_KEYS is no key ring"), "{error}");
    }
}
