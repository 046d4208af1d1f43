//! Answers: what a caller is told when nothing went wrong.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use posthaste_protocol::callback::CallbackAnswer;

/// The response of an outcome.
pub fn response(answer: &CallbackAnswer) -> Response {
    let status = StatusCode::from_u16(answer.outcome.status()).unwrap_or(StatusCode::OK);
    let body = serde_json::to_vec(answer).unwrap_or_default();
    seal((status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

/// What every answer says: nobody keeps it, and a URL with a token in it is told to nobody.
pub fn seal(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
