//! Trace context: a request's span under its caller's, and what a job inherits from it.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::HeaderMap;
use posthaste_protocol::trace::TraceContext;
use posthaste_service::telemetry::{set_parent, span_traceparent};
use tracing::{Instrument as _, Span};

/// Middleware: one span a request, child of the caller's.
pub async fn span(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!("http request", method = %request.method(), route, status = tracing::field::Empty);
    if let Some(caller) = of_caller(request.headers()) {
        set_parent(&span, caller.trace_id(), caller.span_id(), caller.flags());
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    response
}

/// The `traceparent` of a job enqueued by this request: the caller's own if it sent a valid one, else that of the
/// request's span where spans are exported.
pub fn for_job(headers: &HeaderMap) -> Option<String> {
    if let Some(caller) = of_caller(headers) {
        return Some(caller.to_string());
    }
    let (trace_id, span_id, flags) = span_traceparent(&Span::current())?;
    TraceContext::new(trace_id, span_id, flags).ok().map(|context| context.to_string())
}

fn of_caller(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_inherits_a_valid_traceparent_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(for_job(&headers), None);
        headers.insert("traceparent", "00-1-2-3".parse().unwrap());
        assert_eq!(for_job(&headers), None);
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", valid.parse().unwrap());
        assert_eq!(for_job(&headers).as_deref(), Some(valid));
    }
}
