//! `posthaste endpoint rotate-secret NAME`.

use clap::Args;
use posthaste_engine::endpoint;
use serde_json::json;

use super::{Sealed, write};
use crate::{
    output::{self, Tone},
    secret_keys,
};

/// Which endpoint, and what becomes of the old secret.
#[derive(Debug, Args)]
pub struct Options {
    /// Forget the old secret at once; by default it signs too for 24 hours
    #[arg(long)]
    drop_old: bool,
    #[command(flatten)]
    sealed: Sealed,
}

/// Rotates.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let Sealed { one, secrets } = options.sealed;
    let found = one.target.find()?;
    let keys = secret_keys::configured_or_dev(&secrets, found.dev.as_ref())?;
    let keys = write::needed(keys.as_ref())?;
    let mut connection = found.connect().await?;
    let row = endpoint::endpoint(&mut connection, &one.name).await?;
    let fresh = write::make_secret()?;
    let sealed = if options.drop_old {
        write::seal(keys, &row.name, &fresh)?
    } else {
        write::rotate(keys, &row.name, &row.secret, &fresh)?
    };
    let row = endpoint::rotate_secret(&mut connection, &row.name, row.version, &sealed).await?;
    let secret = fresh.to_string_secret();
    if one.json {
        return output::json(&json!({"name": row.name, "version": row.version, "secret": secret.as_str()}));
    }
    output::note_in(Tone::Warn, format_args!("the new signing secret of {}, shown this once:", row.name));
    output::data(secret.as_str());
    Ok(())
}
