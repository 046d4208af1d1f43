//! `posthaste source put NAME --spec …`.

use clap::Args;
use posthaste_engine::source::{self, Secrets};
use posthaste_service::{
    config::{CallbackConfig, SecretsConfig},
    entropy,
};

use super::{One, document};
use crate::{callbacks, endpoint::write, failure::Malformed, input, output, secret_keys};

/// What to write.
#[derive(Debug, Args)]
pub struct Options {
    /// The source: JSON, @FILE, or - for stdin: {"signature": {"scheme", "secrets"}, "correlate", "cel"?}
    #[arg(long, value_name = "JSON|@FILE|-")]
    spec: String,
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    secrets: SecretsConfig,
    #[command(flatten)]
    callback: CallbackConfig,
}

/// Writes it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let one = options.one;
    write::check_name(&one.name)?;
    let spec = source::read(&input::document("spec", &options.spec)?).map_err(Malformed)?;
    let found = one.target.find()?;
    let keys = secret_keys::configured_or_dev(&options.secrets, found.dev.as_ref())?;
    let mut nonce = [0; 24];
    entropy::fill(&mut nonce);
    let sealed = spec.seal(write::needed(keys.as_ref())?, &one.name, nonce)?;
    let secrets = if spec.signature.secrets.is_empty() { Secrets::Keep } else { Secrets::Replace(sealed.as_deref()) };
    let mut connection = found.connect().await?;
    let text = serde_json::to_string(&spec)?;
    let (created, row) = source::put(&mut connection, &one.name, &text, secrets).await?;
    if one.json {
        return output::json(&document(&row)?);
    }
    let what = if created { "made" } else { "changed" };
    let url = callbacks::source_url(&options.callback, found.dev.as_ref(), &one.name);
    output::note(format_args!("source {} is {what}: version {}; its URL is {url}", one.name, row.version));
    Ok(())
}
