//! Where the API listens, and its bootstrap key.

use std::net::SocketAddr;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Group, Problem, environment, problems_of};

const API_LISTEN: &str = "POSTHASTE_API_LISTEN";
const API_KEY: &str = "POSTHASTE_API_KEY";
const MIN_KEY_CHARS: usize = 32;

/// The API's settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "API")]
pub struct ApiConfig {
    /// Address and port of REST, console, health and metrics
    #[arg(long, env = API_LISTEN, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8710")]
    pub api_listen: String,

    /// The bootstrap key (every scope) from `POSTHASTE_API_KEY`; no flag, since flags show in process lists.
    #[arg(skip = environment::secret(API_KEY))]
    pub api_key: Option<SecretString>,
}

impl ApiConfig {
    /// The address to listen on.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        self.api_listen.parse().map_err(|_| {
            let text = &self.api_listen;
            ConfigError::one(
                API_LISTEN,
                format!("is {text:?}; write an address and a port, such as 127.0.0.1:8710 or [::]:8710"),
            )
        })
    }

    /// The bootstrap key, if there is one: printable ASCII without spaces, at least 32 characters.
    pub fn key(&self) -> Result<Option<&SecretString>, ConfigError> {
        let Some(key) = &self.api_key else {
            return Ok(None);
        };
        let text = key.expose_secret();
        let fix = "generate one with `openssl rand -hex 32`";
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::one(
                API_KEY,
                format!("holds spaces or characters that are not printable ASCII; {fix}"),
            ));
        }
        if text.len() < MIN_KEY_CHARS {
            let message = format!("has {} characters, fewer than {MIN_KEY_CHARS}; {fix}", text.len());
            return Err(ConfigError::one(API_KEY, message));
        }
        Ok(Some(key))
    }
}

impl Group for ApiConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = problems_of(self.listen());
        problems.extend(problems_of(self.key()));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(key: &str) -> ApiConfig {
        ApiConfig { api_listen: "127.0.0.1:8710".to_owned(), api_key: Some(key.into()) }
    }

    #[test]
    fn short_or_unprintable_keys_are_refused_without_being_shown() {
        for bad in ["hunter2", "hunter2 hunter2 hunter2 hunter2 hunter2"] {
            let config = with_key(bad);
            let error = config.key().unwrap_err();
            assert!(error.to_string().contains("openssl rand -hex 32"));
            assert!(!format!("{error} {config:?}").contains("hunter2"));
        }
        assert!(with_key(&"k".repeat(32)).key().unwrap().is_some());
    }
}
