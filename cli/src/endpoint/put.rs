//! `posthaste endpoint put NAME --spec …`.

use clap::Args;
use posthaste_dispatcher::egress::EgressPolicy;
use posthaste_engine::endpoint;
use posthaste_protocol::{endpoint::EndpointSpec, problem::FieldError};
use serde_json::json;

use super::{Sealed, document, write};
use crate::{
    egress::{self, EgressConfig},
    failure::Malformed,
    input,
    output::{self, Tone},
    secret_keys,
};

/// What to write.
#[derive(Debug, Args)]
pub struct Options {
    /// The endpoint: JSON, @FILE, or - for stdin; everything but "url" has a default
    #[arg(long, value_name = "JSON|@FILE|-")]
    spec: String,
    #[command(flatten)]
    egress: EgressConfig,
    #[command(flatten)]
    sealed: Sealed,
}

/// Writes it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let Sealed { one, secrets } = options.sealed;
    write::check_name(&one.name)?;
    let spec = EndpointSpec::parse(&input::document("spec", &options.spec)?).map_err(Malformed)?;
    endpoint::check(&spec).map_err(Malformed)?;
    let found = one.target.find()?;
    dialled(&options.egress.policy(found.dev.is_some())?, &spec)?;
    let keys = secret_keys::configured_or_dev(&secrets, found.dev.as_ref())?;
    let mut connection = found.connect().await?;
    let written = write::write(&mut connection, &one.name, &spec, keys.as_ref()).await?;
    let made = written.made.map(|secret| secret.to_string_secret());
    if one.json {
        let mut document = document(&written.row)?;
        if let (Some(secret), Some(fields)) = (&made, document.as_object_mut()) {
            fields.insert("secret".to_owned(), json!(secret.as_str()));
        }
        return output::json(&document);
    }
    let what = if written.created { "made" } else { "changed" };
    output::note(format_args!("endpoint {} is {what}: version {}", one.name, written.row.version));
    if let Some(secret) = made {
        output::note_in(Tone::Warn, "its signing secret, shown this once:");
        output::data(secret.as_str());
    }
    Ok(())
}

/// As the API does: what would never be dialled is refused.
fn dialled(policy: &EgressPolicy, spec: &EndpointSpec) -> Result<(), Malformed> {
    for (field, url) in spec.urls() {
        egress::check(policy, url)
            .map_err(|reason| Malformed(vec![FieldError::new(field, "forbidden_url", reason)]))?;
    }
    Ok(())
}
