//! The small documents of actions: an optional object of a few named options, every wrong one named.

use std::collections::BTreeMap;

use posthaste_protocol::problem::FieldError;
use serde_json::value::RawValue;

use crate::error::ApiError;

/// The longest text of an option, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// An object whose fields are taken out one by one; what is left in the end is unknown.
#[derive(Debug, Default)]
pub struct Options {
    fields: BTreeMap<String, Box<RawValue>>,
    faults: Vec<FieldError>,
}

impl Options {
    /// Reads an object; an empty body has no options.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Ok(Self::default());
        }
        // Whether it is JSON at all comes first: it decides between 400 and 422.
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            return Err(ApiError::field("", FieldError::MALFORMED_JSON, format!("not valid JSON: {error}")));
        }
        match serde_json::from_str(text) {
            Ok(fields) => Ok(Self { fields, faults: Vec::new() }),
            Err(_) => Err(ApiError::field("", "wrong_type", "must be a JSON object")),
        }
    }

    /// A string.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let raw = self.take(name)?;
        match serde_json::from_str::<String>(raw.get()) {
            Ok(text) if text.contains('\0') => self.fault(name, "nul_character", "must not contain \\u0000"),
            Ok(text) if text.len() > MAX_TEXT_BYTES => {
                self.fault(name, "too_long", format!("must have at most {MAX_TEXT_BYTES} bytes"))
            }
            Ok(text) => Some(text),
            Err(_) => self.fault(name, "wrong_type", "must be a string"),
        }
    }

    /// True or false.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let raw = self.take(name)?;
        match raw.get().parse() {
            Ok(flag) => Some(flag),
            Err(_) => self.fault(name, "wrong_type", "must be true or false"),
        }
    }

    /// Nothing more was expected: 422 with every fault and every field that is left.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let unknown = self.fields.into_keys().take(100);
        self.faults.extend(unknown.map(|name| {
            let name: String = name.chars().take(100).collect();
            FieldError::new(name, "unknown_field", "is not a known field")
        }));
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::faults(self.faults)) }
    }

    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.fields.remove(name).filter(|raw| raw.get() != "null")
    }

    fn fault<T>(&mut self, name: &str, code: &str, message: impl Into<String>) -> Option<T> {
        self.faults.push(FieldError::new(name, code, message));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_optional_and_every_wrong_one_is_named() {
        assert!(Options::parse(" ").unwrap().finish().is_ok());
        let mut options = Options::parse(r#"{"reason":"a\"b","force":null}"#).unwrap();
        assert_eq!((options.text("reason").as_deref(), options.flag("force")), (Some("a\"b"), None));
        assert!(options.finish().is_ok());

        let mut options = Options::parse(r#"{"reason":1,"force":"yes","why":2}"#).unwrap();
        assert_eq!((options.text("reason"), options.flag("force")), (None, None));
        let problem = options.finish().unwrap_err().problem();
        let named: Vec<_> = problem.errors.iter().map(|e| (e.field.as_str(), e.code.as_str())).collect();
        assert_eq!(named, [("reason", "wrong_type"), ("force", "wrong_type"), ("why", "unknown_field")]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(Options::parse("{").unwrap_err().problem().status, 400);
        assert_eq!(Options::parse("[]").unwrap_err().problem().status, 422);
        let mut nul = Options::parse(r#"{"reason":"\u0000"}"#).unwrap();
        assert_eq!(nul.text("reason"), None);
        assert_eq!(nul.finish().unwrap_err().problem().errors[0].code, "nul_character");
    }
}
