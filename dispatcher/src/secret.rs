//! Secrets by reference, read where the dispatcher runs.

use posthaste_protocol::endpoint::Reference;
use posthaste_service::config::SecretRef;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

/// The value behind a reference. `Err` says for people why it cannot be read, and never holds it.
pub fn resolve(reference: &Reference) -> Result<Zeroizing<String>, String> {
    let secret = place(reference).resolve().map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(secret.expose_secret().to_owned()))
}

/// The same for what is no header: keys and certificates.
pub fn resolve_document(reference: &Reference) -> Result<Zeroizing<String>, String> {
    let secret = place(reference).resolve_document().map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(secret.expose_secret().to_owned()))
}

fn place(reference: &Reference) -> SecretRef {
    match reference {
        Reference::Env { env } => SecretRef::Env(env.clone()),
        Reference::File { file } => SecretRef::File(file.into()),
    }
}
