//! References to secrets that stay outside the database: an environment variable or a file of the dispatcher.

use serde::Serialize;

use crate::field::Field;
use crate::object::{Faults, Shape};

/// Variables of our own configuration: an endpoint's owner must not be able to have them sent to a server.
const FORBIDDEN_ENV: &[&str] = &["POSTHASTE_", "PG", "OTEL_"];
/// File systems that show processes, devices and the environment.
const FORBIDDEN_FILES: &[&str] = &["/proc", "/sys", "/dev"];

/// Where a value is read from, by the dispatcher, when it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        field.fault("forbidden_reference", "variables of POSTHASTE_, PG and OTEL_ cannot be sent", faults);
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
