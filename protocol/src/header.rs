//! Which header names and values endpoints and jobs may set on a dispatch request.

/// Hop-by-hop and framing headers, and `host`: they belong to the connection, not to whoever writes a job.
const CONNECTION: &[&str] = &[
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "content-length",
];

/// Headers that Posthaste writes itself and that nobody may overwrite.
const OURS: &[&str] = &["content-type", "idempotency-key", "traceparent", "tracestate"];

/// Prefixes that are refused whole: proxy credentials, our own names, the signature's and CloudEvents' attributes.
const PREFIXES: &[&str] = &["proxy-", "posthaste-", "webhook-", "ce-"];

/// Header names that a job may not set, beside every name that begins with `proxy-`, `posthaste-`, `webhook-` or
/// `ce-`. Lower case.
pub const JOB_HEADER_FORBIDDEN: &[&str] = &[
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "content-length",
    "content-type",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "authorization",
    "user-agent",
];

/// Whether a job may set the header `name` (any case): a valid field name that is neither the connection's, nor a
/// credential, nor one that Posthaste writes.
pub fn job_header_allowed(name: &str) -> bool {
    is_header_name(name) && !listed(name, JOB_HEADER_FORBIDDEN) && !has_forbidden_prefix(name)
}

/// Whether an endpoint may set the header `name` (any case). Like [`job_header_allowed`], but an endpoint's owner
/// may also set `authorization` and `user-agent`.
pub fn endpoint_header_allowed(name: &str) -> bool {
    is_header_name(name) && !listed(name, CONNECTION) && !listed(name, OURS) && !has_forbidden_prefix(name)
}

/// Whether `name` is an RFC 9110 field name of 1 to 200 bytes, in any case.
pub fn is_header_name(name: &str) -> bool {
    name.len() <= 200 && http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// Whether `value` can be sent: visible ASCII, spaces and tabs, at most 8,192 bytes, no space at either end.
///
/// ASCII only, because servers disagree on the encoding of anything else.
pub fn is_header_value(value: &str) -> bool {
    let visible = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
    visible && value.len() <= 8192 && value.trim_ascii().len() == value.len()
}

fn listed(name: &str, list: &[&str]) -> bool {
    list.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

fn has_forbidden_prefix(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_cannot_set_what_we_or_the_connection_own() {
        for name in JOB_HEADER_FORBIDDEN {
            assert!(!job_header_allowed(name), "{name}");
            assert!(!job_header_allowed(&name.to_uppercase()), "{name}");
        }
        for name in ["Posthaste-Job-Id", "WEBHOOK-ID", "proxy-authorization", "ce-id", "", "a b", "x\n", "é", "x:"] {
            assert!(!job_header_allowed(name), "{name:?}");
        }
        for name in ["x-tenant", "X-Foo", "accept", "posthaste", "cookie"] {
            assert!(job_header_allowed(name), "{name:?}");
        }
    }

    #[test]
    fn an_endpoint_may_also_set_its_credentials() {
        assert!(endpoint_header_allowed("Authorization"));
        assert!(endpoint_header_allowed("user-agent"));
        for name in CONNECTION.iter().chain(OURS) {
            assert!(!endpoint_header_allowed(name), "{name}");
            assert!(!job_header_allowed(name), "{name}");
        }
    }

    #[test]
    fn a_value_cannot_smuggle_a_second_header() {
        assert!(is_header_value("Bearer a b\tc"));
        assert!(is_header_value(""));
        for value in ["a\r\nb: c", "a\0", " a", "a ", "é", "\u{7f}"] {
            assert!(!is_header_value(value), "{value:?}");
        }
    }
}
