//! The headers that an endpoint adds to each request.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::reference::{self, Reference};
use crate::field::Field;
use crate::header::{endpoint_header_allowed, is_header_name, is_header_value};
use crate::object::Faults;

/// The most headers of one endpoint.
const MAX_HEADERS: usize = 100;
/// Headers that carry credentials and nothing else: their values are referred to, not stored in the clear.
const CREDENTIALS: &[&str] = &["authorization", "cookie"];

/// A header's value, or where to find it. A literal value prints as `[REDACTED]`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HeaderSource {
    /// The value itself.
    Literal(String),
    /// Read by the dispatcher.
    Reference(Reference),
}

impl fmt::Debug for HeaderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("[REDACTED]"),
            Self::Reference(reference) => reference.fmt(f),
        }
    }
}

/// Reads `{name: value}`; names come out in lower case, each once.
pub(super) fn read(field: &Field, faults: &mut Faults) -> BTreeMap<String, HeaderSource> {
    let mut headers = BTreeMap::new();
    if field.is_null() {
        return headers;
    }
    let mut count = 0;
    field.entries(faults, |name, value, faults| {
        count += 1;
        if count > MAX_HEADERS {
            return;
        }
        if !is_header_name(name) {
            value.fault("invalid_header", "is not a valid header name", faults);
            return;
        }
        if !endpoint_header_allowed(name) {
            value.fault("forbidden_header", "cannot be set: the connection or Posthaste itself sets it", faults);
            return;
        }
        let name = name.to_ascii_lowercase();
        let Some(source) = read_source(&name, &value, faults) else {
            return;
        };
        if headers.insert(name, source).is_some() {
            value.fault("duplicate_field", "is given more than once", faults);
        }
    });
    if count > MAX_HEADERS {
        field.fault("too_many", "must have at most 100 headers", faults);
    }
    headers
}

fn read_source(name: &str, field: &Field, faults: &mut Faults) -> Option<HeaderSource> {
    if field.begins(b'{') {
        return reference::read(field, faults).map(HeaderSource::Reference);
    }
    if !field.begins(b'"') {
        field.fault("wrong_type", r#"must be a string, {"env": "NAME"} or {"file": "PATH"}"#, faults);
        return None;
    }
    if CREDENTIALS.contains(&name) {
        return reference::read_secret(field, faults).map(HeaderSource::Reference);
    }
    let value = field.text(faults)?;
    if !is_header_value(&value) {
        let message = "must be visible ASCII of at most 8192 bytes without a space at either end";
        field.fault("invalid_header", message, faults);
        return None;
    }
    Some(HeaderSource::Literal(value))
}
