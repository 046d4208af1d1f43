//! Done.

use serde::{Serialize, de::DeserializeOwned};

/// The job is done. On the wire: 200 with the result, or 204.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// JSON, as it is sent.
    pub(crate) json: String,
}

impl Completed {
    /// Done, without a result.
    pub fn new() -> Self {
        Self { json: "null".to_owned() }
    }

    /// Done, with this result: at most 1 MiB of JSON.
    pub fn with(result: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { json: serde_json::to_string(result)? })
    }

    /// The result, read as `T`.
    pub fn result<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.json)
    }
}

impl Default for Completed {
    fn default() -> Self {
        Self::new()
    }
}
