//! The event of Lambda: a request as a function URL hands it to its function (payload version 2.0), so that one handler
//! serves the URL and `Invoke`.

use std::io::{self, Write as _};

use chrono::DateTime;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST};

/// The largest event that `Invoke` takes, in bytes.
pub const INVOKE_MAX_BYTES: usize = 6 * 1024 * 1024;
/// The largest event that `Invoke` takes to run it later, in bytes.
pub const EVENT_MAX_BYTES: usize = 1024 * 1024;

/// A request that goes into an event.
#[derive(Debug, Clone, Copy)]
pub struct LambdaEvent<'a> {
    /// The host that is asked.
    pub host: &'a str,
    /// Names this run.
    pub request_id: &'a str,
    /// The time now, seconds since 1970.
    pub now_unix: i64,
    /// Everything that a function URL would have been sent, the signature included.
    pub headers: &'a HeaderMap,
    /// The body that was signed.
    pub body: &'a str,
}

impl LambdaEvent<'_> {
    /// Appends the event to `out`, which is given the room for it first.
    pub fn write(&self, out: &mut Vec<u8>) {
        // An envelope is JSON: hardly more than its quotes are escaped.
        out.reserve(2048 + self.body.len() + self.body.len() / 4);
        let written = self.try_write(out);
        debug_assert!(written.is_ok(), "a Vec takes every write");
    }

    fn try_write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(
            br#"{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"","headers":{"#,
        );
        for (name, value) in self.headers.iter().filter(|(name, _)| **name != HOST && **name != CONTENT_LENGTH) {
            serde_json::to_writer(&mut *out, name.as_str())?;
            out.push(b':');
            serde_json::to_writer(&mut *out, &String::from_utf8_lossy(value.as_bytes()))?;
            out.push(b',');
        }
        out.extend_from_slice(br#""host":"#);
        serde_json::to_writer(&mut *out, self.host)?;
        let length = self.body.len();
        write!(
            out,
            r#","content-length":"{length}","x-forwarded-proto":"https"}},"requestContext":{{"accountId":"anonymous""#
        )?;
        out.extend_from_slice(br#","apiId":"posthaste","domainName":"#);
        serde_json::to_writer(&mut *out, self.host)?;
        out.extend_from_slice(br#","domainPrefix":"posthaste","http":{"method":"POST","path":"/","protocol":"HTTP/1.1","sourceIp":"0.0.0.0","userAgent":"#);
        serde_json::to_writer(&mut *out, super::AGENT)?;
        out.extend_from_slice(br#"},"requestId":"#);
        serde_json::to_writer(&mut *out, self.request_id)?;
        let time = DateTime::from_timestamp(self.now_unix, 0).unwrap_or_default();
        write!(
            out,
            r#","routeKey":"$default","stage":"$default","time":"{}","timeEpoch":{}}},"body":"#,
            time.format("%d/%b/%Y:%H:%M:%S +0000"),
            time.timestamp_millis(),
        )?;
        serde_json::to_writer(&mut *out, self.body)?;
        out.extend_from_slice(br#","isBase64Encoded":false}"#);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_is_what_a_function_url_hands_over() {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "a\"b".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = r#"{"protocol":1,"args":"é\n"}"#;
        let event = LambdaEvent {
            host: "lambda.eu-west-1.amazonaws.com",
            request_id: "42.3",
            now_unix: 1_795_248_000,
            headers: &headers,
            body,
        };
        let mut out = Vec::new();
        event.write(&mut out);
        let event: Value = serde_json::from_slice(&out).unwrap();
        let context = event["requestContext"].clone();
        assert_eq!(
            (&event["version"], &event["rawPath"], &event["rawQueryString"]),
            (&json!("2.0"), &json!("/"), &json!(""))
        );
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(body), &json!(false)));
        assert_eq!(
            event["headers"],
            json!({"webhook-id": "a\"b", "content-type": "application/json", "host": "lambda.eu-west-1.amazonaws.com",
                "content-length": body.len().to_string(), "x-forwarded-proto": "https"})
        );
        assert_eq!((&context["http"]["method"], &context["requestId"]), (&json!("POST"), &json!("42.3")));
        assert_eq!(context["time"], json!("21/Nov/2026:08:00:00 +0000"));
        assert_eq!(context["timeEpoch"], json!(1_795_248_000_000_i64));
    }
}
