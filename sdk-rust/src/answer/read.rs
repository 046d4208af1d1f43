//! Answers read back as outcomes, as far as an SDK writes them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response};
use serde_json::Value;

use super::{CALLBACK_TIMEOUT, HEARTBEAT_TIMEOUT, OUTCOME};
use crate::outcome::{
    Accepted, Cancel, Completed, Fail, Outcome, Retire, Retry, Snooze, Suspend, Throttle, WrittenSuspension,
};

/// The outcome that an answer says; `None` where it is not a handler's word, such as a 401 or a panic.
pub(crate) fn outcome(answer: &Response<Bytes>) -> Option<Outcome> {
    let (headers, body) = (answer.headers(), answer.body());
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let message = text("detail").unwrap_or_default();
    let after = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let word = headers.get(OUTCOME).map(|word| word.to_str().unwrap_or_default());
    Some(match (word, answer.status().as_u16()) {
        (Some("suspend"), _) => {
            let written: WrittenSuspension = serde_json::from_slice(body).ok()?;
            Suspend::from(written).into()
        }
        (Some("snooze"), _) => Snooze { after }.into(),
        (Some("retry"), _) => Retry { message, code: text("code")?, after }.into(),
        (Some("fail"), _) => Fail { message, code: text("code") }.into(),
        (Some("cancel"), _) => Cancel { reason: text("reason") }.into(),
        (None, 204) => Completed::new().into(),
        (None, 200) => Completed { json: String::from_utf8(body.to_vec()).ok()? }.into(),
        (None, 202) => {
            let callback_timeout = ms(headers, &CALLBACK_TIMEOUT);
            Accepted { callback_timeout, heartbeat_timeout: ms(headers, &HEARTBEAT_TIMEOUT) }.into()
        }
        (None, 429) => Throttle { message, after }.into(),
        (None, 410) => Retire { message }.into(),
        _ => return None,
    })
}

fn ms(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}
