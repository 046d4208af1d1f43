//! `posthaste keys mint NAME --scope …`: the key is shown this once; its hash is stored.

use chrono::{DateTime, Utc};
use clap::Args;
use posthaste_engine::api_key;
use posthaste_protocol::api_key::{ApiKey, Scope};
use posthaste_service::entropy;
use serde_json::json;

use crate::{
    connection::Target,
    output::{self, Tone},
    time,
};

/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 200;

/// What to mint.
#[derive(Debug, Args)]
pub struct Options {
    /// What the key is for, to know it by in the list
    #[arg(value_parser = name)]
    name: String,
    /// What it may do: enqueue, read, cancel, operate, admin; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    /// When it ends by itself, such as 2026-11-21T08:00:00Z (default: never)
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    expires_at: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Mints, stores and prints it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut connection = options.target.connect().await?;
    let is_first = !api_key::look_up(&mut connection, None).await?.any;
    let mut random = [0; 40];
    entropy::fill(&mut random);
    let key = ApiKey::mint(random);
    api_key::mint(&mut connection, &key, &options.name, &options.scopes, options.expires_at).await?;
    if is_first {
        output::note_in(Tone::Warn, "this is the first key: within 5 s every /v1 call needs one, on loopback too");
    }
    if options.json {
        return output::json(&json!({
            "key_id": key.kid(), "name": options.name, "scopes": options.scopes,
            "expires_at": options.expires_at, "key": key.expose(),
        }));
    }
    output::note_in(Tone::Warn, format_args!("key {} of {}, shown this once:", key.kid(), options.name));
    output::data(key.expose());
    Ok(())
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("write 1 to {MAX_NAME_CHARS} printable characters")) }
}
