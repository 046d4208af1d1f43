//! Documents that are given on the command line: the text itself, `@FILE`, or `-` for stdin.

use std::{io::Read, path::Path};

use anyhow::Context as _;
use posthaste_protocol::problem::FieldError;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::failure::Malformed;

/// Longer input cannot be accepted; what an endless pipe sends must not fill the memory.
const MAX: u64 = 16 << 20;

/// The text of a JSON document. What can only be the name of a file is refused with how to read one; `field` is what
/// that refusal names.
pub fn document(field: &str, given: &str) -> anyhow::Result<String> {
    match given.strip_prefix('@') {
        Some(path) => {
            std::fs::File::open(path).map_err(Into::into).and_then(read).with_context(|| format!("reading {path}"))
        }
        None if given == "-" => read(std::io::stdin().lock()).context("reading stdin"),
        None if names_a_file(given) => {
            let message = format!("is not JSON; to read a file write @{given}");
            Err(Malformed(vec![FieldError::new(field, FieldError::MALFORMED_JSON, message)]).into())
        }
        None => Ok(given.to_owned()),
    }
}

/// A JSON document, byte for byte as it was given.
pub fn json(field: &str, given: &str) -> anyhow::Result<Box<RawValue>> {
    let text = document(field, given)?;
    RawValue::from_string(text.trim().to_owned()).map_err(|error| {
        let fault = FieldError::new(field, FieldError::MALFORMED_JSON, format!("is not JSON: {error}"));
        Malformed(vec![fault]).into()
    })
}

/// The text of an expression, or that of the file of which `@FILE` is the name.
pub fn expression(given: &str) -> anyhow::Result<String> {
    // No expression begins with this sign.
    if given.starts_with('@') { document("expression", given) } else { Ok(given.to_owned()) }
}

fn names_a_file(given: &str) -> bool {
    let path = Path::new(given);
    let could = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) || path.is_file();
    could && serde_json::from_str::<IgnoredAny>(given).is_err()
}

fn read(source: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    let length = source.take(MAX + 1).read_to_string(&mut text)?;
    anyhow::ensure!(length as u64 <= MAX, "it has more than 16 MiB");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_only_be_a_file_is_told_from_json() {
        // A name that ends so, whether it is there or not, and one that is there.
        assert!(names_a_file("nowhere/pdf.json") && names_a_file("Cargo.toml"));
        for text in ["{}", "7", r#""a.json""#, "[1,", "nowhere", ""] {
            assert!(!names_a_file(text), "{text}");
        }
    }
}
