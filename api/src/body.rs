//! Request bodies: their type checked, their size bounded, and the largest field of an oversized one named.

use std::{collections::BTreeMap, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use posthaste_protocol::problem::{Code, FieldError, Problem};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::ApiError;

/// The most of a body that is read, whatever it is.
pub const MAX_READ_BYTES: usize = 16 * 1024 * 1024;
/// The largest body of one job: 1 MiB of args, and everything else at its largest.
pub const MAX_JOB_BYTES: usize = 1280 * 1024;
/// The largest body of any other single document.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// How long a body may take to arrive.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many bodies past [`MAX_JOB_BYTES`] may be in memory at once: 256 MiB.
const LARGE_AT_ONCE: usize = 16;

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/x-ndjson`.
    Ndjson,
}

/// Reads bodies; bounds how many large ones are in memory.
pub struct Bodies {
    large: Semaphore,
}

/// A body in memory; a large one keeps its place until it is dropped.
pub struct Held<'a> {
    /// The bytes.
    pub bytes: Bytes,
    _place: Option<SemaphorePermit<'a>>,
}

impl Bodies {
    /// With room for a few large ones.
    pub fn new() -> Self {
        Self { large: Semaphore::new(LARGE_AT_ONCE) }
    }

    /// Reads a body of at most `limit` bytes. A larger one is read on, to 16 MiB, so that the client gets to see
    /// the 413 and the name of its largest field.
    pub async fn read(&self, body: Body, limit: usize) -> Result<Held<'_>, ApiError> {
        match tokio::time::timeout(DEADLINE, self.collect(body)).await {
            Ok(Ok(held)) if held.bytes.len() > limit => Err(too_large(&held.bytes, limit)),
            Ok(result) => result,
            Err(_) => Err(ApiError::new(Code::MalformedJson, "the body did not arrive within 30 s")),
        }
    }

    async fn collect(&self, mut body: Body) -> Result<Held<'_>, ApiError> {
        let (mut bytes, mut place) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::new(Code::MalformedJson, "the body ended early"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > MAX_READ_BYTES {
                let detail = format!("the body has more than {MAX_READ_BYTES} bytes");
                return Err(ApiError::new(Code::PayloadTooLarge, detail));
            }
            bytes.extend_from_slice(&data);
            if bytes.len() > MAX_JOB_BYTES && place.is_none() {
                place = self.large.acquire().await.ok();
            }
        }
        Ok(Held { bytes: bytes.freeze(), _place: place })
    }
}

/// The media type of a request with a body; 415 for others, and for compressed bodies.
pub fn media(headers: &HeaderMap, ndjson: bool) -> Result<Media, ApiError> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|value| value == "identity");
    match essence.as_str() {
        _ if !plain => Err(ApiError::new(Code::UnsupportedMediaType, "a compressed body is not supported")),
        "application/json" => Ok(Media::Json),
        "application/x-ndjson" if ndjson => Ok(Media::Ndjson),
        _ => {
            let also = if ndjson { " or application/x-ndjson" } else { "" };
            let detail = format!("the content-type must be application/json{also}");
            Err(ApiError::new(Code::UnsupportedMediaType, detail))
        }
    }
}

/// The body as text.
pub fn text(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes)
        .map_err(|error| ApiError::new(Code::MalformedJson, format!("the body is not UTF-8: {error}")))
}

fn too_large(bytes: &[u8], limit: usize) -> ApiError {
    let size = bytes.len();
    let problem = |detail| Problem::new(Code::PayloadTooLarge, detail);
    ApiError::from(match largest_field(bytes) {
        Some((name, length)) => {
            let name: String = name.chars().take(100).collect();
            let message = format!("has {length} of the body's {size} bytes; a body may have {limit}");
            problem(format!("the largest field is {name}: it {message}")).with_errors(vec![FieldError::new(
                name,
                "too_large",
                message,
            )])
        }
        None => problem(format!("the body has {size} bytes; it may have {limit}")),
    })
}

/// The name and length of the largest top-level field; `None` unless the body is an object.
fn largest_field(bytes: &[u8]) -> Option<(String, usize)> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).ok()?;
    fields.into_iter().map(|(name, value)| (name, value.get().len())).max_by_key(|(_, length)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        headers
    }

    #[tokio::test]
    async fn an_oversized_body_is_refused_naming_its_largest_field() {
        let body = format!(r#"{{"kind":"a","args":"{}","tags":[]}}"#, "x".repeat(MAX_JOB_BYTES));
        let error = Bodies::new().read(Body::from(body), MAX_JOB_BYTES).await.err().unwrap();
        let problem = error.problem();
        assert_eq!((problem.status, problem.errors[0].field.as_str()), (413, "args"));
    }

    #[tokio::test]
    async fn a_body_is_read_to_sixteen_mebibytes_and_no_further() {
        let body = Body::from(vec![b'x'; MAX_READ_BYTES + 1]);
        let problem = Bodies::new().read(body, MAX_JOB_BYTES).await.err().unwrap().problem();
        assert_eq!((problem.status, problem.errors.len()), (413, 0));
        let bodies = Bodies::new();
        let held = bodies.read(Body::from(vec![b'x'; 10]), 10).await.ok().unwrap();
        assert_eq!(held.bytes.len(), 10);
    }

    #[test]
    fn only_json_is_taken_and_lines_where_they_make_sense() {
        assert_eq!(media(&headers("application/json; charset=utf-8"), false).unwrap(), Media::Json);
        assert_eq!(media(&headers("application/x-ndjson"), true).unwrap(), Media::Ndjson);
        for bad in ["application/x-ndjson", "text/plain", "", "application/x-www-form-urlencoded"] {
            assert_eq!(media(&headers(bad), false).unwrap_err().problem().status, 415, "{bad}");
        }
        let mut compressed = headers("application/json");
        compressed.insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        assert_eq!(media(&compressed, false).unwrap_err().problem().status, 415);
    }
}
