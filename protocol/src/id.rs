//! Job ids: positive 64-bit numbers, written as strings in JSON because JavaScript loses digits past 2^53.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a job, 1 to 2^63 − 1, in the order in which jobs were enqueued.
///
/// The number itself is open because the database hands it out; parsing accepts positive ids only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// The text was not a canonical positive decimal of at most 2^63 − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job id is a positive decimal number without sign or leading zeros")]
pub struct InvalidJobId;

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    /// Accepts exactly what [`fmt::Display`] writes, so that one job has one URL.
    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        let starts_well = text.bytes().next().is_some_and(|b| matches!(b, b'1'..=b'9'));
        if !starts_well {
            return Err(InvalidJobId);
        }
        text.parse().map(Self).map_err(|_| InvalidJobId)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_string_in_json_and_comes_back() {
        let json = serde_json::to_string(&JobId(i64::MAX)).unwrap();
        assert_eq!(json, "\"9223372036854775807\"");
        assert_eq!(serde_json::from_str::<JobId>(&json).unwrap(), JobId(i64::MAX));
    }

    #[test]
    fn only_the_canonical_form_is_an_id() {
        for text in ["", "0", "-1", "+1", "01", " 1", "1 ", "1.0", "٣", "9223372036854775808"] {
            assert_eq!(text.parse::<JobId>(), Err(InvalidJobId), "{text:?}");
        }
        assert!(serde_json::from_str::<JobId>("42").is_err());
    }
}
