//! Lambda's answer to `Invoke` → what its function answered, as its URL would have given it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::RESULT_CAP;
use crate::egress::Answer;

/// The most that is read of Lambda's answer: a result at its largest, with every byte of it escaped or encoded.
pub const LAMBDA_CAP: usize = 4 * RESULT_CAP;
/// The most headers that are taken, as of any other answer.
const MAX_HEADERS: usize = 100;

/// What a function returns to answer an HTTP request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Returned<'a> {
    status_code: Option<Value>,
    headers: Option<serde_json::Map<String, Value>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// The function's own answer. What is Lambda's own, an error of it or of its function, stays as it is.
pub fn unwrap(answer: Answer) -> Answer {
    if !answer.status.is_success() || answer.headers.contains_key("x-amz-function-error") || answer.body_over_cap {
        return answer;
    }
    match serde_json::from_slice::<Returned>(&answer.body) {
        Ok(returned) if returned.status_code.is_some() => match read(&returned) {
            Ok((status, headers, body)) => Answer { status, headers, body, ..answer },
            // A function URL answers 502 here too.
            Err(reason) => {
                Answer { status: StatusCode::BAD_GATEWAY, headers: HeaderMap::new(), body: reason.into(), ..answer }
            }
        },
        // Whatever else it returned is its result, and JSON, as a function URL has it.
        _ => {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Answer { headers, ..answer }
        }
    }
}

fn read(returned: &Returned) -> Result<(StatusCode, HeaderMap, Bytes), &'static str> {
    let status = match &returned.status_code {
        Some(Value::Number(number)) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or("the function returned a statusCode that is no status")?;
    let mut headers = HeaderMap::new();
    for (name, value) in returned.headers.iter().flatten().take(MAX_HEADERS) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => continue,
        };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(text)) {
            headers.append(name, value);
        }
    }
    Ok((status, headers, body(returned)?))
}

/// The body, which is a text; another JSON value is taken as it stands.
fn body(returned: &Returned) -> Result<Bytes, &'static str> {
    let Some(raw) = returned.body.map(RawValue::get) else { return Ok(Bytes::new()) };
    if !raw.starts_with('"') {
        return Ok(if raw == "null" { Bytes::new() } else { raw.to_owned().into() });
    }
    let text: String = serde_json::from_str(raw).map_err(|_| "the function returned a body that is no Unicode text")?;
    if returned.is_base64_encoded == Some(true) {
        let decoded = STANDARD.decode(text.trim()).map_err(|_| "the function returned a body that is no base64")?;
        return Ok(decoded.into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lambda(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-requestid", HeaderValue::from_static("r"));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.to_owned().into(),
            body_over_cap: false,
            body_cut_short: false,
            headers_us: 1,
            body_us: 2,
        }
    }

    fn returned(value: &Value) -> Answer {
        unwrap(lambda(200, &value.to_string()))
    }

    #[test]
    fn the_function_answers_with_its_own_status_headers_and_body() {
        let answer = returned(&json!({
            "statusCode": 202, "headers": {"Posthaste-Outcome": "suspend", "retry-after": 5, "x": null, "a b": "c"},
            "body": "{\"wait\":1}", "isBase64Encoded": false,
        }));
        assert_eq!(answer.status, 202);
        assert_eq!(
            (&answer.headers["posthaste-outcome"], answer.headers.len()),
            (&HeaderValue::from_static("suspend"), 2)
        );
        assert_eq!((&answer.body[..], answer.headers["retry-after"].as_bytes()), (&b"{\"wait\":1}"[..], &b"5"[..]));
    }

    #[test]
    fn a_body_is_text_base64_json_or_nothing() {
        for (value, body) in [
            (json!({"statusCode": "200", "body": "aGk=", "isBase64Encoded": true}), "hi"),
            (json!({"statusCode": 200, "body": "aGk="}), "aGk="),
            (json!({"statusCode": 200, "body": {"a": 1}}), "{\"a\":1}"),
            (json!({"statusCode": 200, "body": null}), ""),
            (json!({"statusCode": 204}), ""),
        ] {
            assert_eq!(returned(&value).body, body, "{value}");
        }
    }

    #[test]
    fn whatever_else_it_returns_is_its_result() {
        for value in [json!({"sum": 3}), json!("hi"), json!([1]), json!(null), json!({"headers": 1})] {
            let answer = returned(&value);
            assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, value.to_string().as_bytes()));
            assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        }
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_bad_gateway() {
        for value in [
            json!({"statusCode": 99}),
            json!({"statusCode": "OK"}),
            json!({"statusCode": null, "body": "x", "x": 1}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            let answer = returned(&value);
            let expected = if value["statusCode"].is_null() { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
            assert_eq!(answer.status, expected, "{value}");
        }
    }

    #[test]
    fn what_lambda_says_itself_stays() {
        let mut failed = lambda(200, r#"{"statusCode":200,"errorMessage":"x"}"#);
        failed.headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
        assert!(unwrap(failed).headers.contains_key("x-amz-function-error"));
        let throttled = unwrap(lambda(429, r#"{"statusCode":200}"#));
        assert_eq!(
            (throttled.status, throttled.headers.contains_key("x-amzn-requestid")),
            (StatusCode::TOO_MANY_REQUESTS, true)
        );
    }
}
