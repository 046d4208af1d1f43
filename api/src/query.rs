//! Query strings: known parameters taken one by one, every wrong one named.

use std::str::FromStr;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use posthaste_protocol::problem::FieldError;

use crate::error::ApiError;

/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 1000;

/// The parameters of one request.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<FieldError>,
}

impl Query {
    /// Reads a raw query string; whatever it is, it can be read.
    pub fn parse(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect();
        Self { pairs, faults: Vec::new() }
    }

    /// A text; an empty one is absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut found = self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value);
        let first = found.next();
        let again = found.next().is_some();
        drop(found);
        if again {
            self.fault(name, "duplicate_field", "is given more than once");
        }
        let value = first.filter(|value| !value.is_empty())?;
        if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
            self.fault(name, "wrong_format", "is too long or holds a NUL character");
            return None;
        }
        Some(value)
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.text(name)?;
        match u64::from_str(&value) {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.fault(name, "out_of_range", format!("must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    /// One of a closed list of words.
    pub fn word<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let value = self.text(name)?;
        match value.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.fault(name, "unknown_word", error.to_string());
                None
            }
        }
    }

    /// A cursor that [`cursor`] wrote.
    pub fn cursor(&mut self, name: &str) -> Option<i64> {
        let value = self.text(name)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
        if bytes.is_none() {
            self.fault(name, "wrong_format", "is not a cursor of this API");
        }
        bytes.map(i64::from_be_bytes)
    }

    /// Nothing more was expected: 422 with every fault and every parameter that is left.
    pub fn finish(mut self) -> Result<(), ApiError> {
        self.faults.extend(self.pairs.into_iter().take(100).map(|(name, _)| {
            let name: String = name.chars().take(100).collect();
            FieldError::new(name, "unknown_field", "is not a known parameter")
        }));
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::faults(self.faults)) }
    }

    fn fault(&mut self, name: &str, code: &str, message: impl Into<String>) {
        self.faults.push(FieldError::new(name, code, message));
    }
}

/// The place where a page ended, as clients hand it back.
pub fn cursor(key: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::job::State;

    use super::*;

    #[test]
    fn known_parameters_are_read_and_the_others_refused() {
        let mut query = Query::parse(Some("state=dead&tag=a%20b&limit=7&queue="));
        assert_eq!(query.word::<State>("state"), Some(State::Dead));
        assert_eq!((query.text("tag").as_deref(), query.text("queue")), (Some("a b"), None));
        assert_eq!(query.integer("limit", 1, 500), Some(7));
        assert!(query.finish().is_ok());

        let mut query = Query::parse(Some("state=gone&limit=0&tag=a&tag=b&queue=%00&page=2"));
        assert_eq!((query.word::<State>("state"), query.integer("limit", 1, 500)), (None, None));
        query.text("tag");
        query.text("queue");
        let faults = query.finish().unwrap_err().problem().errors;
        let named: Vec<_> = faults.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(named, ["state", "limit", "tag", "queue", "page"]);
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        for key in [0, 1, i64::MAX] {
            let raw = format!("cursor={}", cursor(key));
            assert_eq!(Query::parse(Some(&raw)).cursor("cursor"), Some(key));
        }
        for bad in ["x", "AAAA", "!!!!!!!!!!!", "AAAAAAAAAAAAAAA"] {
            let raw = format!("cursor={bad}");
            let mut query = Query::parse(Some(&raw));
            assert_eq!(query.cursor("cursor"), None);
            assert!(query.finish().is_err());
        }
    }
}
