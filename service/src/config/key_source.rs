//! Where a key ring is: in the setting itself, or in the file that it names.

use std::{fs::File, io::Read as _, path::Path};

use secrecy::{ExposeSecret as _, SecretString};

use super::ConfigError;

/// Room for more keys than anybody rotates through.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A key ring as it was set. Prints nothing of it, not even a path: a mistyped ring would be taken for one.
#[derive(Debug, Clone)]
pub struct KeySource {
    setting: &'static str,
    value: SecretString,
}

impl KeySource {
    /// The ring of this setting.
    pub fn new(setting: &'static str, value: SecretString) -> Self {
        Self { setting, value }
    }

    /// The environment variable that sets it.
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The file that has the ring; `None` when the setting has it itself.
    pub fn file(&self) -> Option<&Path> {
        let value = self.value.expose_secret();
        (!is_ring(value)).then(|| Path::new(value))
    }

    /// The ring's text (`kid:hex64,…`, for `posthaste-protocol` to parse). Errors when its file cannot be read, is empty or
    /// beyond 64 KiB.
    pub fn read(&self) -> Result<SecretString, ConfigError> {
        match self.file() {
            None => Ok(self.value.clone()),
            Some(path) => read(path).map_err(|reason| {
                let message = format!("is neither `kid:hex64[,kid:hex64]` nor a readable file ({reason})");
                ConfigError::one(self.setting, message)
            }),
        }
    }
}

/// A ring begins with a numeric key id and a colon; anything else names a file.
fn is_ring(value: &str) -> bool {
    let id = value.split_once(':').map_or("", |(id, _)| id.trim());
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn read(path: &Path) -> Result<SecretString, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err("it has more than 64 KiB".to_owned());
    }
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(SecretString::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(value: &str) -> KeySource {
        KeySource::new("POSTHASTE_SOME_KEYS", value.into())
    }

    #[test]
    fn a_ring_is_taken_as_it_is_and_a_path_is_read() {
        let ring = format!("1:{}", "ab".repeat(32));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{ring}\n")).unwrap();
        for value in [ring.as_str(), file.path().to_str().unwrap()] {
            assert_eq!(source(value).read().unwrap().expose_secret(), ring);
        }
        assert_eq!(source(&ring).file(), None);
        assert_eq!(source(file.path().to_str().unwrap()).file(), Some(file.path()));
    }

    #[test]
    fn a_mistyped_ring_is_never_shown_and_the_setting_is() {
        let source = source("kid1-hunter2");
        let error = source.read().unwrap_err();
        assert!(error.to_string().starts_with("POSTHASTE_SOME_KEYS is neither"), "{error}");
        assert!(!format!("{error} {source:?}").contains("hunter2"), "{error}");
    }
}
