//! Payloads: the body of a webhook, which may be anything, as the JSON that it is or becomes.

use std::collections::BTreeMap;

use posthaste_engine::filter::{PayloadError, read_payload};
use posthaste_protocol::problem::FieldError;
use serde_json::Value;

use crate::refusal::Refusal;

/// A body as JSON.
#[derive(Debug)]
pub struct Payload {
    /// For expressions.
    pub value: Value,
    /// Byte for byte, where it was JSON; a text as a string; `None` for an empty body.
    pub json: Option<String>,
}

impl Payload {
    /// Reads a body. One that says that it is JSON must be; of any other, what is not JSON is a text.
    pub fn read(headers: &BTreeMap<String, String>, body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(Self { value: Value::Null, json: None });
        }
        match read_payload(body) {
            Ok(value) => Ok(Self { value, json: Some(String::from_utf8_lossy(body).trim().to_owned()) }),
            Err(PayloadError::Malformed(_)) if !says_json(headers) => Self::of_text(body),
            Err(error) => Err(refused(&error)),
        }
    }

    fn of_text(body: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| refused(&PayloadError::Malformed(error.to_string())))?;
        let json = Value::from(text).to_string();
        let value = read_payload(json.as_bytes()).map_err(|error| refused(&error))?;
        Ok(Self { value, json: Some(json) })
    }
}

fn says_json(headers: &BTreeMap<String, String>) -> bool {
    let named = headers.get("content-type").map(String::as_str).unwrap_or_default();
    let essence = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn refused(error: &PayloadError) -> Refusal {
    Refusal::faults(vec![FieldError::new("", error.code(), error.to_string())])
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::problem::Code;

    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Result<Option<String>, Code> {
        let headers = BTreeMap::from([("content-type".to_owned(), content_type.to_owned())]);
        Payload::read(&headers, body).map(|payload| payload.json).map_err(|refusal| refusal.code())
    }

    #[test]
    fn json_is_kept_as_it_came_and_anything_else_is_a_text() {
        for (content_type, body, json) in [
            ("application/json", r#" {"a" : 1} "#, Some(r#"{"a" : 1}"#)),
            ("text/plain", "{\"a\": 1}", Some("{\"a\": 1}")),
            ("text/plain", "all is \"well\"", Some(r#""all is \"well\"""#)),
            ("application/x-www-form-urlencoded", "a=1&b=2", Some(r#""a=1&b=2""#)),
            ("application/json", " ", None),
        ] {
            assert_eq!(read(content_type, body.as_bytes()), Ok(json.map(str::to_owned)), "{content_type} {body}");
        }
    }

    #[test]
    fn what_says_that_it_is_json_must_be() {
        assert_eq!(read("application/cloudevents+json; charset=utf-8", b"{"), Err(Code::MalformedJson));
        assert_eq!(read("application/json", br#""\u0000""#), Err(Code::Invalid));
        assert_eq!(read("text/plain", b"\xff"), Err(Code::MalformedJson));
        assert_eq!(read("text/plain", b"a\0b"), Err(Code::Invalid));
    }
}
