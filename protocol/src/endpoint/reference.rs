//! References to secrets that stay outside the database: an environment variable or a file of the dispatcher.

use std::path::Path;

use serde::Serialize;

use crate::field::Field;
use crate::object::{Faults, Shape};

/// Variables of our own configuration: an endpoint's owner must not be able to have them sent to a server.
const FORBIDDEN_ENV: &[&str] = &["POSTHASTE_", "PG", "OTEL_", "AWS_"];
/// File systems that show processes, devices and the environment.
const FORBIDDEN_FILES: &[&str] = &["/proc", "/sys", "/dev"];

/// What the names of variables begin with that functions may name too, for the webhooks that they wait for.
pub const WEBHOOK_ENV: &str = "WEBHOOK_SECRET_";
/// The name of the folder whose files they may name.
pub const WEBHOOK_FOLDER: &str = "webhook-secrets";

/// Where a value is read from, by the dispatcher, when it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Reference {
    /// An environment variable, none of our own.
    Env {
        /// Its name.
        env: String,
    },
    /// A file; a newline at its end does not count.
    File {
        /// Its absolute path.
        file: String,
    },
}

impl Reference {
    /// Whether whoever runs Posthaste put this secret where functions may name it: a variable of [`WEBHOOK_ENV`], or a file
    /// directly in a folder of the name [`WEBHOOK_FOLDER`].
    pub fn is_for_webhooks(&self) -> bool {
        match self {
            Self::Env { env } => env.strip_prefix(WEBHOOK_ENV).is_some_and(|rest| !rest.is_empty()),
            Self::File { file } => {
                Path::new(file).parent().and_then(Path::file_name).is_some_and(|folder| folder == WEBHOOK_FOLDER)
            }
        }
    }
}

/// Reads a reference where a literal would be a secret in the clear.
pub(crate) fn read_secret(field: &Field, faults: &mut Faults) -> Option<Reference> {
    if field.begins(b'"') {
        let message =
            r#"must be a reference, {"env": "NAME"} or {"file": "PATH"}: a literal would be stored and shown"#;
        field.fault("literal_secret", message, faults);
        return None;
    }
    read(field, faults)
}

/// Reads `{"env": "NAME"}` or `{"file": "PATH"}`.
pub(crate) fn read(field: &Field, faults: &mut Faults) -> Option<Reference> {
    let (mut env, mut file) = (None, None);
    let mut given = 0;
    let shape = Shape { known: &["env", "file"], later: &[] };
    let is_object = field.object(shape, faults, |name, part, faults| {
        given += 1;
        if name == "env" {
            env = part.some_text(faults).filter(|name| check_env(name, &part, faults));
        } else {
            file = part.some_text(faults).filter(|path| check_file(path, &part, faults));
        }
    });
    if is_object && given != 1 {
        field.fault("invalid_reference", r#"must be {"env": "NAME"} or {"file": "PATH"}"#, faults);
        return None;
    }
    env.map(|env| Reference::Env { env }).or(file.map(|file| Reference::File { file }))
}

fn check_env(name: &str, field: &Field, faults: &mut Faults) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let head = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !plain || !head || name.len() > 200 {
        let message = "must be a variable name: letters, digits and _, not beginning with a digit";
        field.fault("invalid_reference", message, faults);
        return false;
    }
    let forbidden = |prefix: &&str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    if FORBIDDEN_ENV.iter().any(forbidden) {
        field.fault("forbidden_reference", "variables of POSTHASTE_, PG, OTEL_ and AWS_ cannot be sent", faults);
        return false;
    }
    true
}

fn check_file(path: &str, field: &Field, faults: &mut Faults) -> bool {
    let plain = path.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
    if !path.starts_with('/') || !plain || path.len() > 4096 {
        let message = "must be an absolute path without empty, . or .. parts";
        field.fault("invalid_reference", message, faults);
        return false;
    }
    let below = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if FORBIDDEN_FILES.iter().any(below) {
        field.fault("forbidden_reference", "files of /proc, /sys and /dev cannot be sent", faults);
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_may_name_only_what_was_put_there_for_them() {
        let env = |env: &str| Reference::Env { env: env.to_owned() }.is_for_webhooks();
        assert!(env("WEBHOOK_SECRET_STRIPE"));
        for other in ["WEBHOOK_SECRET_", "webhook_secret_a", "AWS_SECRET_ACCESS_KEY", "MY_WEBHOOK_SECRET_A"] {
            assert!(!env(other), "{other}");
        }
        let file = |file: &str| Reference::File { file: file.to_owned() }.is_for_webhooks();
        assert!(file("/etc/posthaste/webhook-secrets/stripe") && file("/webhook-secrets/a"));
        for other in [
            "/etc/passwd",
            "/webhook-secrets",
            "/webhook-secrets/a/b",
            "/a/my-webhook-secrets/b",
            "/a/webhook-secrets.d/b",
        ] {
            assert!(!file(other), "{other}");
        }
    }
}
