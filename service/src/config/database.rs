//! Which database.

use std::{convert::Infallible, str::FromStr};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{ConfigError, Group, Problem, problems_of};

const DATABASE_URL: &str = "POSTHASTE_DATABASE_URL";
const LISTEN_URL: &str = "POSTHASTE_LISTEN_URL";

/// A `postgres://` URL, which may hold a password and is therefore never printed.
#[derive(Debug, Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// The whole URL, for connecting.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is wrong with it, without showing it.
    fn problem(&self) -> Option<String> {
        match Url::parse(self.expose()) {
            Err(error) => Some(format!("is not a URL ({error}); write postgres://user:password@host:5432/database")),
            Ok(url) if !matches!(url.scheme(), "postgres" | "postgresql") => {
                Some("must begin with postgres:// or postgresql://".to_owned())
            }
            Ok(_) => None,
        }
    }
}

/// Never fails: clap would print the value of one that does. [`super::check`] validates it.
impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(SecretString::from(text.trim())))
    }
}

/// The database's address.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseConfig {
    /// The Postgres database (postgres://…); with a password, set the variable instead of the flag
    #[arg(long, env = DATABASE_URL, hide_env_values = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// A direct connection for LISTEN where the database URL leads to a pooler (default: the database URL)
    #[arg(long, env = LISTEN_URL, hide_env_values = true, value_name = "URL")]
    pub listen_url: Option<DatabaseUrl>,
}

impl DatabaseConfig {
    /// The same group for whoever cannot do without the database URL: a missing one is a problem like the others.
    pub fn required(&self) -> impl Group + use<'_> {
        Required(self)
    }

    /// The database URL; errors when it is not set or malformed.
    pub fn database_url(&self) -> Result<&DatabaseUrl, ConfigError> {
        let missing = "is not set; set it to postgres://user:password@host:5432/database, or run `posthaste dev`, which brings its own Postgres";
        let url = self.database_url.as_ref().ok_or_else(|| ConfigError::one(DATABASE_URL, missing))?;
        match url.problem() {
            None => Ok(url),
            Some(problem) => Err(ConfigError::one(DATABASE_URL, problem)),
        }
    }

    /// Where to LISTEN: the listen URL, else the database URL.
    pub fn listen_url(&self) -> Result<&DatabaseUrl, ConfigError> {
        let Some(url) = &self.listen_url else {
            return self.database_url();
        };
        match url.problem() {
            None => Ok(url),
            Some(problem) => Err(ConfigError::one(LISTEN_URL, problem)),
        }
    }
}

/// A missing URL is no problem here: `dev` brings its own. For services it is: [`DatabaseConfig::required`].
impl Group for DatabaseConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.database_url.is_some() {
            problems.extend(problems_of(self.database_url()));
        }
        if self.listen_url.is_some() {
            problems.extend(problems_of(self.listen_url()));
        }
        problems
    }
}

struct Required<'a>(&'a DatabaseConfig);

impl Group for Required<'_> {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = problems_of(self.0.database_url());
        if self.0.listen_url.is_some() {
            problems.extend(problems_of(self.0.listen_url()));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_database_says_how_to_name_one() {
        let error = DatabaseConfig::default().database_url().unwrap_err();
        assert!(error.to_string().starts_with("POSTHASTE_DATABASE_URL is not set"));
    }

    #[test]
    fn a_missing_url_is_a_problem_only_where_one_is_required() {
        let none = DatabaseConfig { database_url: None, listen_url: Some("mysql://db".parse().unwrap()) };
        let named = |group: &dyn Group| group.problems().iter().map(|problem| problem.setting).collect::<Vec<_>>();
        assert_eq!(named(&none), [LISTEN_URL]);
        assert_eq!(named(&none.required()), [DATABASE_URL, LISTEN_URL]);
    }

    #[test]
    fn listening_falls_back_to_the_database_and_passwords_stay_hidden() {
        let config =
            DatabaseConfig { database_url: Some("postgres://app:hunter2@db/jobs".parse().unwrap()), listen_url: None };
        assert_eq!(config.listen_url().unwrap().expose(), "postgres://app:hunter2@db/jobs");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
