//! Bodies: what they may be, how large, and how long they may take.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use posthaste_protocol::{callback::MAX_VALUE_BYTES, problem::Code};

use crate::refusal::Refusal;

/// The largest body: a value at its largest, and what is around it.
pub const MAX_BYTES: usize = MAX_VALUE_BYTES + 4096;
/// How much of a larger one is read and dropped, so that its sender gets to see the 413.
const MAX_DROPPED_BYTES: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive, whatever becomes of it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Refuses what its head already says: compressed, or not JSON where JSON is needed. A body without a type is taken for
/// JSON.
pub fn check_type(headers: &HeaderMap, json: bool) -> Result<(), Refusal> {
    let unsupported = |detail: &str| Err(Refusal::new(Code::UnsupportedMediaType, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return unsupported("a compressed body is not supported");
    }
    let Some(named) = headers.get(header::CONTENT_TYPE).filter(|_| json) else { return Ok(()) };
    let essence = named.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        return Ok(());
    }
    unsupported("the content-type must be application/json")
}

/// Reads a body of at most [`MAX_BYTES`], within its deadline.
pub async fn read(body: Body) -> Result<Bytes, Refusal> {
    let late =
        |_| Refusal::new(Code::RequestTimeout, format!("the body did not arrive within {} s", DEADLINE.as_secs()));
    tokio::time::timeout(DEADLINE, collect(body)).await.map_err(late)?
}

async fn collect(mut body: Body) -> Result<Bytes, Refusal> {
    let announced = body.size_hint().lower();
    if announced > MAX_DROPPED_BYTES as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut seen) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(Code::MalformedJson, "the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > MAX_DROPPED_BYTES {
            return Err(too_large());
        }
        if seen <= MAX_BYTES && announced <= MAX_BYTES as u64 {
            bytes.extend_from_slice(&data);
        } else {
            bytes = BytesMut::new();
        }
    }
    if seen > MAX_BYTES { Err(too_large()) } else { Ok(bytes.freeze()) }
}

/// The body as text.
pub fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new(Code::MalformedJson, "the body is not UTF-8"))
}

fn too_large() -> Refusal {
    Refusal::new(Code::PayloadTooLarge, format!("the body has more than {MAX_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    fn refused(result: Result<(), Refusal>) -> Option<Code> {
        result.err().map(|refusal| refusal.code())
    }

    #[test]
    fn json_is_wanted_where_it_is_needed_and_nothing_compressed_anywhere() {
        let unsupported = Some(Code::UnsupportedMediaType);
        for (headers, json, code) in [
            (HeaderMap::new(), true, None),
            (headers(header::CONTENT_TYPE, "Application/JSON; charset=utf-8"), true, None),
            (headers(header::CONTENT_TYPE, "text/plain"), true, unsupported),
            (headers(header::CONTENT_TYPE, "text/plain"), false, None),
            (headers(header::CONTENT_ENCODING, "gzip"), false, unsupported),
            (headers(header::CONTENT_ENCODING, "Identity"), true, None),
        ] {
            assert_eq!(refused(check_type(&headers, json)), code, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_bound_and_no_further() {
        assert_eq!(read(Body::from(vec![b'x'; MAX_BYTES])).await.unwrap().len(), MAX_BYTES);
        for size in [MAX_BYTES + 1, MAX_DROPPED_BYTES + 1] {
            assert_eq!(read(Body::from(vec![b'x'; size])).await.unwrap_err().code(), Code::PayloadTooLarge);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let (_sender, pending) = tokio::sync::oneshot::channel::<()>();
        let stream = async move { pending.await.map(|()| Bytes::new()).map_err(std::io::Error::other) };
        let body = Body::from_stream(futures_util::stream::once(stream));
        assert_eq!(read(body).await.unwrap_err().code(), Code::RequestTimeout);
    }
}
