//! The body of a success → JSON text that Postgres can store.

use std::borrow::Cow;

use http::{HeaderMap, header::CONTENT_TYPE};
use posthaste_engine::lifecycle::RunError;
use serde_json::value::RawValue;

/// How deep a result may be nested.
pub(super) const MAX_DEPTH: usize = 64;

/// JSON stays JSON, everything else becomes a JSON string; `None` is null. Without a content type, what
/// parses as JSON is JSON. What claims to be JSON and is not is kept as a string: the job was done.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Option<String>, RunError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let content_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    if content_type.is_none_or(is_json)
        && let Ok(json) = serde_json::from_slice::<&RawValue>(body)
    {
        return from_json(json.get());
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(body);
    let text = if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text };
    Ok(Some(serde_json::Value::String(text.into_owned()).to_string()))
}

/// Whether a content type is `application/json`, `text/json` or `…+json`.
pub(super) fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let ends_with =
        |suffix: &[u8]| kind.len() >= suffix.len() && kind[kind.len() - suffix.len()..].eq_ignore_ascii_case(suffix);
    ends_with(b"/json") || ends_with(b"+json")
}

fn from_json(json: &str) -> Result<Option<String>, RunError> {
    if json == "null" {
        return Ok(None);
    }
    if depth(json) > MAX_DEPTH {
        return Err(RunError::new("result_too_deep", format!("the result is nested deeper than {MAX_DEPTH}")));
    }
    Ok(Some(if json.contains("\\u") { mend_escapes(json) } else { json.to_owned() }))
}

/// The deepest nesting of a valid JSON text.
fn depth(json: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut quoted = false;
    while let Some(b) = bytes.next() {
        match b {
            b'"' => quoted = !quoted,
            // An escape: the next byte is not a quote that counts.
            b'\\' => drop(bytes.next()),
            b'[' | b'{' if !quoted => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !quoted => now -= 1,
            _ => {}
        }
    }
    deepest
}

/// Replaces `\u0000` and lone surrogates, which are valid JSON and which Postgres cannot turn into text.
fn mend_escapes(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    // In valid JSON a backslash only ever begins an escape inside a string.
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0 | 0xd800..=0xdfff), _) => {
                mended.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
        mended.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    mended.push_str(rest);
    mended
}

/// The code unit of the `\uXXXX` that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn result(content_type: Option<&str>, body: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        }
        read(&headers, body).unwrap()
    }

    #[test]
    fn json_is_kept_as_it_was_written() {
        for content_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", "text/json"]
        {
            let body = b" {\"b\":1.10,\"a\":9007199254740993, \"a\":2} \n";
            assert_eq!(result(Some(content_type), body).unwrap(), "{\"b\":1.10,\"a\":9007199254740993, \"a\":2}");
        }
        assert_eq!(result(Some("application/json"), b"\xef\xbb\xbf[1]").unwrap(), "[1]");
        assert_eq!(result(None, b"{\"a\":1}").unwrap(), "{\"a\":1}");
    }

    #[test]
    fn text_becomes_a_string_even_if_it_looks_like_json() {
        assert_eq!(result(Some("text/plain"), b"42").unwrap(), "\"42\"");
        assert_eq!(result(Some("text/html; charset=utf-8"), b"OK").unwrap(), "\"OK\"");
        assert_eq!(result(None, b"hello").unwrap(), "\"hello\"");
        assert_eq!(result(Some("application/octet-stream"), b"a\0\xff\"\n").unwrap(), "\"a\u{fffd}\u{fffd}\\\"\\n\"");
    }

    #[test]
    fn what_claims_to_be_json_and_is_not_is_kept_as_a_string() {
        for body in ["{'a': 1}", "{\"a\":1", "NaN", "{}{}", "[\"a\tb\"]"] {
            let stored = result(Some("application/json"), body.as_bytes()).unwrap();
            assert_eq!(serde_json::from_str::<String>(&stored).unwrap(), body);
        }
        assert!(result(Some("application/json"), b"\"\xff\"").unwrap().contains('\u{fffd}'));
    }

    #[test]
    fn null_and_nothing_are_null() {
        for body in ["null", " null\n", "", "  \n"] {
            assert_eq!(result(Some("application/json"), body.as_bytes()), None, "{body:?}");
        }
    }

    #[test]
    fn escapes_that_postgres_cannot_store_are_replaced() {
        for (json, stored) in [
            (r#"["a\u0000b"]"#, r#"["a\ufffdb"]"#),
            (r#"{"\u0000":1}"#, r#"{"\ufffd":1}"#),
            (r#"["\\u0000"]"#, r#"["\\u0000"]"#),
            (r#"["\\\u0000"]"#, r#"["\\\ufffd"]"#),
            (r#"["\ud83d\ude00\u00e9\n"]"#, r#"["\ud83d\ude00\u00e9\n"]"#),
            (r#"["\ud83d","\ude00\ud83d\ud83d\ude00"]"#, r#"["\ufffd","\ufffd\ufffd\ud83d\ude00"]"#),
        ] {
            let read = result(Some("application/json"), json.as_bytes()).unwrap();
            assert_eq!(read, stored);
            serde_json::from_str::<serde_json::Value>(&read).unwrap();
        }
    }

    #[test]
    fn only_what_is_nested_too_deep_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let flat = format!("[\"\\\"{}\",{}]", "[".repeat(1000), nested(63));
        assert_eq!(result(Some("application/json"), flat.as_bytes()), Some(flat));
        for depth in [65, 200, 500_000] {
            let headers = HeaderMap::new();
            assert_eq!(read(&headers, nested(depth).as_bytes()).unwrap_err().code, "result_too_deep");
        }
    }
}
