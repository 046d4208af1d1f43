//! Secrets by reference, read where the dispatcher runs.

use posthaste_protocol::endpoint::Reference;
use posthaste_service::config::SecretRef;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

/// The value behind a reference: one line of text, so that no file of credentials leaves whole, whatever it is sent as.
/// `Err` says for people why it cannot be read, and never holds it.
pub fn resolve(reference: &Reference) -> Result<Zeroizing<String>, String> {
    let secret = place(reference).resolve().map_err(|error| error.to_string())?;
    let text = secret.expose_secret();
    if text.chars().any(char::is_control) {
        return Err(format!("{} has a control character; it must be one line of text", named(reference)));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// The same for what is no header: keys and certificates.
pub fn resolve_document(reference: &Reference) -> Result<Zeroizing<String>, String> {
    let secret = place(reference).resolve_document().map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(secret.expose_secret().to_owned()))
}

fn named(reference: &Reference) -> String {
    match reference {
        Reference::Env { env } => format!("environment variable {env}"),
        Reference::File { file } => format!("secret file {file}"),
    }
}

fn place(reference: &Reference) -> SecretRef {
    match reference {
        Reference::Env { env } => SecretRef::Env(env.clone()),
        Reference::File { file } => SecretRef::File(file.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_and_a_document_may_have_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reference = Reference::File { file: file.path().to_str().unwrap().to_owned() };
        for text in ["[default]\nkey = s3cret", "s3cret\ttab", "s3cret\u{7f}", "s3cret\r\n\r\n"] {
            std::fs::write(file.path(), text).unwrap();
            let why = resolve(&reference).unwrap_err();
            assert!(why.contains("control character") && !why.contains("s3cret"), "{why}");
            assert!(resolve_document(&reference).is_ok());
        }
        std::fs::write(file.path(), "s3cret \u{e9}\n").unwrap();
        assert_eq!(resolve(&reference).unwrap().as_str(), "s3cret \u{e9}");
    }
}
