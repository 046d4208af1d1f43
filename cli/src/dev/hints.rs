//! How to go on: commands to copy, with the real addresses.

use super::database::Database;
use crate::home::Home;

/// What surprises whoever sees the samples for the first time.
const SAMPLES: &str = "samples repeat, and some fail on purpose; --no-samples starts without them";

/// Commands that work while this `posthaste dev` runs.
#[derive(Debug, Clone)]
pub struct Hints {
    /// Opens a prompt on the database.
    pub psql: String,
    /// Where the API is.
    pub api_url: String,
    /// Where callbacks go.
    pub gateway_url: String,
    /// Where data is kept.
    pub data: String,
    /// What the database is.
    pub database: String,
    /// What to know about the samples, if there are any.
    pub samples: Option<&'static str>,
    /// This binary, and what it needs to find this database.
    posthaste: String,
    flag: String,
}

impl Hints {
    /// For this database, this API and this gateway.
    pub fn new(home: &Home, database: &Database, api_url: String, gateway_url: String, samples: bool) -> Self {
        // A database that was named may have a password in its URL.
        let psql = if database.is_private() { database.psql() } else { "psql \"$POSTHASTE_DATABASE_URL\"".to_owned() };
        let flag = if database.is_private() { home.flag() } else { String::new() };
        let data = home.root().display().to_string();
        let database = database.description();
        let samples = samples.then_some(SAMPLES);
        Self { psql, api_url, gateway_url, data, database, samples, posthaste: this_binary(), flag }
    }

    /// A job by each of the three ways.
    pub fn lines(&self) -> [String; 3] {
        let (psql, api, posthaste, flag) = (&self.psql, &self.api_url, &self.posthaste, &self.flag);
        [
            format!(r#"{psql} -c "select posthaste.enqueue('sample.hello', '{{\"name\":\"psql\"}}')""#),
            format!(
                r#"curl -s {api}/v1/jobs -H 'content-type: application/json' -d '{{"kind":"sample.hello","args":{{"name":"curl"}}}}'"#
            ),
            format!(r#"{posthaste} enqueue sample.hello --args '{{"name":"cli"}}' --wait{flag}"#),
        ]
    }
}

/// As one would type it from here.
fn this_binary() -> String {
    let Ok(path) = std::env::current_exe() else { return "posthaste".to_owned() };
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(ToOwned::to_owned));
    short.unwrap_or(path).display().to_string()
}
