//! The keys that seal secrets at rest.

use std::{fs::File, io::Read as _, path::Path};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Group, Problem, environment, problems_of};

const SECRET_KEYS: &str = "POSTHASTE_SECRET_KEYS";
/// Room for more keys than anybody rotates through.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Key rings; by variable or file only.
#[derive(Debug, Clone, Default, Args)]
pub struct SecretsConfig {
    /// `POSTHASTE_SECRET_KEYS` as it was set: `kid:hex64[,kid:hex64]`, or the path of a file with that.
    #[arg(skip = environment::secret(SECRET_KEYS))]
    pub secret_keys: Option<SecretString>,
}

impl SecretsConfig {
    /// The ring's text (`kid:hex64,…`, for `posthaste-protocol` to parse), read from its file if one was named;
    /// `None` when not set. Errors when the file cannot be read, is empty or beyond 64 KiB.
    pub fn secret_keys(&self) -> Result<Option<SecretString>, ConfigError> {
        match &self.secret_keys {
            None => Ok(None),
            Some(value) if is_ring(value.expose_secret()) => Ok(Some(value.clone())),
            Some(path) => read_ring(path.expose_secret()).map(Some),
        }
    }
}

impl Group for SecretsConfig {
    fn problems(&self) -> Vec<Problem> {
        problems_of(self.secret_keys())
    }
}

/// A ring begins with a numeric key id and a colon; anything else names a file.
fn is_ring(value: &str) -> bool {
    let id = value.split_once(':').map_or("", |(id, _)| id.trim());
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// The path is not shown: a mistyped ring would be taken for one.
fn read_ring(path: &str) -> Result<SecretString, ConfigError> {
    let failed = |reason: String| {
        let message = format!("is neither `kid:hex64[,kid:hex64]` nor a readable file ({reason})");
        ConfigError::one(SECRET_KEYS, message)
    };
    let mut text = String::new();
    File::open(Path::new(path))
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed("it has more than 64 KiB".to_owned()));
    }
    if text.trim().is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(SecretString::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: &str) -> SecretsConfig {
        SecretsConfig { secret_keys: Some(value.into()) }
    }

    #[test]
    fn a_ring_is_taken_as_it_is_and_a_path_is_read() {
        let ring = format!("1:{}", "ab".repeat(32));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{ring}\n")).unwrap();

        for value in [ring.as_str(), file.path().to_str().unwrap()] {
            let found = config(value).secret_keys().unwrap().unwrap();
            assert_eq!(found.expose_secret(), ring);
        }
    }

    #[test]
    fn a_mistyped_ring_is_never_shown() {
        let config = config("kid1-hunter2");
        let error = config.secret_keys().unwrap_err();
        assert!(!format!("{error} {config:?}").contains("hunter2"), "{error}");
    }
}
