//! `posthaste keys revoke KEY_ID`.

use clap::Args;
use posthaste_engine::api_key;
use serde_json::json;

use crate::{connection::Target, failure::Usage, output};

/// Which key.
#[derive(Debug, Args)]
pub struct Options {
    /// The 8 characters after `ph_`; `posthaste keys list` shows them
    key_id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Revokes; one that is revoked stays so.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let key_id = options.key_id;
    // Here and not by clap, which would repeat a whole key that was given by mistake.
    if key_id.len() != 8 || !key_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Usage("KEY_ID is the 8 characters after ph_, not the whole key".to_owned()).into());
    }
    let mut connection = options.target.connect().await?;
    api_key::revoke(&mut connection, &key_id).await?;
    if options.json {
        return output::json(&json!({"key_id": key_id, "revoked": true}));
    }
    output::data(format_args!("key {key_id} is revoked; the API may take it for up to 5 s more"));
    Ok(())
}
