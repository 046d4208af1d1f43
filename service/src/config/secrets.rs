//! The keys that seal secrets at rest.

use clap::Args;
use secrecy::SecretString;

use super::{ConfigError, Group, KeySource, Problem, environment, problems_of};

const SECRET_KEYS: &str = "POSTHASTE_SECRET_KEYS";

/// Key rings; by variable or file only.
#[derive(Debug, Clone, Default, Args)]
pub struct SecretsConfig {
    /// `POSTHASTE_SECRET_KEYS` as it was set: `kid:hex64[,kid:hex64]`, or the path of a file with that.
    #[arg(skip = environment::secret(SECRET_KEYS))]
    pub secret_keys: Option<SecretString>,
}

impl SecretsConfig {
    /// The ring's text, read from its file if one was named; `None` when not set. Errors as [`KeySource::read`].
    pub fn secret_keys(&self) -> Result<Option<SecretString>, ConfigError> {
        self.secret_keys.clone().map(|value| KeySource::new(SECRET_KEYS, value).read()).transpose()
    }
}

impl Group for SecretsConfig {
    fn problems(&self) -> Vec<Problem> {
        problems_of(self.secret_keys())
    }
}
