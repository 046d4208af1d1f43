//! The body of a webhook as a value, within bounds: what is small as text can be large in memory.

use posthaste_protocol::guard::{self, Fault};
use posthaste_protocol::tree;
use serde_json::Value as Json;

/// The longest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// The most values: items and members, at all depths. Each takes up to some 600 bytes, whatever its text takes.
pub const MAX_PAYLOAD_VALUES: usize = 20_000;

/// Why a body is no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// More than [`MAX_PAYLOAD_BYTES`].
    #[error("must have at most {MAX_PAYLOAD_BYTES} bytes")]
    TooLarge,
    /// More than [`MAX_PAYLOAD_VALUES`].
    #[error("must have at most {MAX_PAYLOAD_VALUES} values")]
    TooMany,
    /// Too deep, or holds what Postgres cannot store.
    #[error("{0}")]
    Forbidden(Fault),
    /// Not JSON, not UTF-8, or a number that is too large; with what the parser says.
    #[error("not valid JSON: {0}")]
    Malformed(String),
}

impl PayloadError {
    /// The code of a [`posthaste_protocol::problem::FieldError`] that says so.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::Forbidden(fault) => fault.code(),
            Self::Malformed(_) => "malformed_json",
        }
    }
}

/// Reads a body. Of members with the same name the last one counts, as in Postgres, JavaScript and Python. A number
/// that does not fit 64 bits becomes a double. An empty body is not JSON.
pub fn read_payload(body: &[u8]) -> Result<Json, PayloadError> {
    if body.len() > MAX_PAYLOAD_BYTES {
        return Err(PayloadError::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|error| PayloadError::Malformed(error.to_string()))?;
    // Before anything is allocated, or recurses.
    guard::check(text).map_err(PayloadError::Forbidden)?;
    if count(body) > MAX_PAYLOAD_VALUES {
        return Err(PayloadError::TooMany);
    }
    tree::read(text).map_err(|error| PayloadError::Malformed(error.to_string()))
}

/// How many values a JSON text holds; an empty array or object counts twice.
fn count(body: &[u8]) -> usize {
    let mut values = 1;
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
        } else {
            in_string = *byte == b'"';
            values += usize::from(matches!(byte, b'[' | b'{' | b','));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> PayloadError {
        read_payload(body.as_bytes()).expect_err("a refused payload")
    }

    #[test]
    fn a_payload_has_bounds_of_size_depth_and_number() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read_payload(nested(64).as_bytes()).is_ok());
        assert_eq!(refused(&nested(65)), PayloadError::Forbidden(Fault::TooDeep));
        assert_eq!(refused(&nested(500_000)), PayloadError::Forbidden(Fault::TooDeep));
        assert!(read_payload(format!("[{}0]", "0,".repeat(19_998)).as_bytes()).is_ok());
        assert_eq!(refused(&format!("[{}0]", "0,".repeat(19_999))), PayloadError::TooMany);
        assert!(
            read_payload(format!("\"{}\"", r#"[{,\""#.repeat(100_000)).as_bytes()).is_ok(),
            "strings are one value"
        );
        assert_eq!(refused(&" ".repeat(MAX_PAYLOAD_BYTES + 1)), PayloadError::TooLarge);
    }

    #[test]
    fn a_text_in_a_member_is_a_text_whatever_the_member_is_called() {
        // serde_json itself makes 20,001 values of it.
        let body = serde_json::json!({ "$serde_json::private::RawValue": format!("[{}0]", "0,".repeat(20_000)) });
        assert_eq!(read_payload(body.to_string().as_bytes()), Ok(body));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in ["", "{", "nan", "[1,]", "1e999", "a=1&b=2"] {
            assert!(matches!(refused(body), PayloadError::Malformed(_)), "{body}");
        }
        assert!(matches!(read_payload(b"\"\xff\""), Err(PayloadError::Malformed(_))));
    }

    #[test]
    fn what_postgres_cannot_store_is_refused() {
        for (body, fault) in
            [(r#""\u0000""#, Fault::Nul), (r#"{"a\ud800":1}"#, Fault::LoneSurrogate), ("1e99999", Fault::NumberTooLong)]
        {
            assert_eq!(refused(body), PayloadError::Forbidden(fault), "{body}");
        }
    }

    #[test]
    fn of_two_members_of_one_name_the_last_counts() {
        assert_eq!(read_payload(br#"{"a":1,"a":2}"#), Ok(serde_json::json!({"a": 2})));
    }
}
