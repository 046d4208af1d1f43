//! How functions call back: where, and with which keys their tokens are made.

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Group, KeySource, Problem, environment, problems_of};

const GATEWAY_URL: &str = "POSTHASTE_GATEWAY_URL";
const TOKEN_KEYS: &str = "POSTHASTE_TOKEN_KEYS";

/// The settings of callbacks. Dispatchers and gateways have the same; with neither of them nothing can call back.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Callbacks")]
pub struct CallbackConfig {
    /// The public base URL of the gateway, which callbacks are built from
    #[arg(long, env = GATEWAY_URL, value_name = "URL")]
    pub gateway_url: Option<String>,

    /// `POSTHASTE_TOKEN_KEYS` as it was set: `kid:hex64[,kid:hex64]`, or the path of a file with that; no flag, since flags
    /// show in process lists.
    #[arg(skip = environment::secret(TOKEN_KEYS))]
    pub token_keys: Option<SecretString>,
}

impl CallbackConfig {
    /// The base URL, for `posthaste-protocol` to parse; `None` when not set.
    pub fn gateway_url(&self) -> Option<&str> {
        self.gateway_url.as_deref().map(str::trim).filter(|url| !url.is_empty())
    }

    /// Where the ring of token keys is; `None` when not set. Errors when its file cannot be read.
    pub fn token_keys(&self) -> Result<Option<KeySource>, ConfigError> {
        let set = self.token_keys.clone().filter(|value| !value.expose_secret().trim().is_empty());
        let Some(source) = set.map(|value| KeySource::new(TOKEN_KEYS, value)) else { return Ok(None) };
        source.read()?;
        Ok(Some(source))
    }

    /// The two belong together.
    fn complete(&self) -> Result<(), ConfigError> {
        let missing = |one, other| {
            Err(ConfigError::one(one, format!("is not set, and {other} is; callbacks need both, or set neither")))
        };
        match (self.gateway_url(), self.token_keys()?) {
            (Some(_), None) => missing(TOKEN_KEYS, GATEWAY_URL),
            (None, Some(_)) => missing(GATEWAY_URL, TOKEN_KEYS),
            _ => Ok(()),
        }
    }
}

impl Group for CallbackConfig {
    fn problems(&self) -> Vec<Problem> {
        problems_of(self.complete())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: Option<&str>, keys: Option<&str>) -> CallbackConfig {
        CallbackConfig { gateway_url: url.map(str::to_owned), token_keys: keys.map(SecretString::from) }
    }

    #[test]
    fn the_url_and_the_keys_belong_together() {
        let ring = format!("1:{}", "ab".repeat(32));
        let named =
            |config: CallbackConfig| config.problems().iter().map(|problem| problem.setting).collect::<Vec<_>>();
        let url = Some("https://cb.example.com");
        assert_eq!(named(config(url, Some(&ring))), [""; 0]);
        assert_eq!(named(config(None, None)), [""; 0]);
        assert_eq!(named(config(Some(" "), Some(""))), [""; 0], "empty is not set");
        assert_eq!(named(config(url, None)), [TOKEN_KEYS]);
        assert_eq!(named(config(None, Some(&ring))), [GATEWAY_URL]);
    }

    #[test]
    fn a_mistyped_ring_is_a_problem_and_never_shown() {
        let config = config(Some("https://cb.example.com"), Some("kid1-hunter2"));
        let problems = config.problems();
        assert_eq!(problems[0].setting, TOKEN_KEYS);
        assert!(!format!("{problems:?} {config:?}").contains("hunter2"), "{problems:?}");
    }
}
