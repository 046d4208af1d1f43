//! How a dispatcher authenticates at an endpoint.

use serde::Serialize;

use super::reference::{self, Reference};
use crate::field::Field;
use crate::object::{Faults, Path, Shape};

/// Kinds of authentication that a later version brings.
const LATER: &[&str] = &["aws_sigv4", "google_id_token", "oauth2"];

/// The authentication of each request, beside its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Auth {
    /// None.
    None,
    /// `authorization: Bearer <token>`.
    Bearer {
        /// Where the token is.
        token: Reference,
    },
}

/// Reads `{"type": "none"}` or `{"type": "bearer", "token": reference}`.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Auth> {
    let (mut kind, mut token) = (None, None);
    let before = faults.count();
    let shape = Shape { known: &["type", "token"], later: &[] };
    let is_object = field.object(shape, faults, |name, part, faults| {
        if name == "type" {
            kind = part.some_text(faults);
            if let Some(kind) = kind.as_deref() {
                check_type(kind, &part, faults);
            }
        } else if !part.is_null() {
            token = read_token(&part, faults);
        }
    });
    if !is_object || faults.count() > before {
        return None;
    }
    match (kind.as_deref() == Some("bearer"), token) {
        (false, None) => Some(Auth::None),
        (true, Some(token)) => Some(Auth::Bearer { token }),
        (true, None) => {
            faults.push(&Path::Field(&field.path, "token"), "required", "is required for bearer");
            None
        }
        (false, Some(_)) => {
            faults.push(&Path::Field(&field.path, "type"), "conflict", "must be bearer where there is a token");
            None
        }
    }
}

fn check_type(kind: &str, field: &Field, faults: &mut Faults) {
    if LATER.contains(&kind) {
        field.fault("not_supported_yet", "this authentication is not supported yet", faults);
    } else if !matches!(kind, "none" | "bearer") {
        field.fault("unknown_word", "must be one of none, bearer", faults);
    }
}

fn read_token(field: &Field, faults: &mut Faults) -> Option<Reference> {
    if field.begins(b'"') {
        let message =
            r#"must be a reference, {"env": "NAME"} or {"file": "PATH"}: a literal would be stored and shown"#;
        field.fault("literal_secret", message, faults);
        return None;
    }
    reference::read(field, faults)
}
