//! `application/problem+json`: what functions answer when they are not done, and what servers answer.

use serde::Serialize;

/// The media type of a problem.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";
/// The most characters of a detail: the dispatcher keeps fewer.
const MAX_DETAIL_CHARS: usize = 4096;

/// What a function answers when it is not done.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    detail: String,
}

impl<'a> Problem<'a> {
    pub fn new(status: u16, code: Option<&'a str>, detail: &str) -> Self {
        let title = match status {
            401 => "The signature is not valid",
            404 => "No handler for this kind",
            400 | 405 | 415 | 422 => "This cannot be handled",
            _ => "The handler failed",
        };
        let end = detail.char_indices().nth(MAX_DETAIL_CHARS).map_or(detail.len(), |(at, _)| at);
        Self { title, status, code, detail: detail.get(..end).unwrap_or(detail).to_owned() }
    }

    /// Its JSON.
    pub fn body(&self) -> Vec<u8> {
        // Texts and numbers are always JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
