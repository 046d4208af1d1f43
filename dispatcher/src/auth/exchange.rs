//! Exchange: asks a token server, and reads its answer as JSON.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header::CONTENT_TYPE};
use posthaste_protocol::excerpt;
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::mint::{MintError, Minter};
use crate::egress::{Answer, Class, SendError};

/// How long a token server has.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// The most that is read of its answer.
pub(super) const ANSWER_CAP: usize = 64 * 1024;

impl Minter {
    /// POSTs a form to a token server.
    pub(super) async fn post_form(
        &self,
        what: &'static str,
        url: &Url,
        mut headers: HeaderMap,
        fields: &[(&str, &str)],
    ) -> Result<Value, MintError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.post(what, url, headers, form.into()).await
    }

    /// POSTs to a token server, which must be one that may be dialled.
    pub(super) async fn post(
        &self,
        what: &'static str,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Value, MintError> {
        let refused = |message| SendError { class: Class::NotSent, code: "egress_forbidden", message };
        self.policy.check_url(url).map_err(|why| MintError::Unreachable(what, refused(why.to_string())))?;
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| MintError::Unreachable(what, refused("the URL cannot be dialled".to_owned())))?;
        let deadline = Instant::now() + PATIENCE;
        let answer = self.client.post(uri, headers, body, deadline, ANSWER_CAP).await;
        let answer = answer.map_err(|error| MintError::Unreachable(what, error))?;
        read(what, &answer)
    }
}

/// The JSON of a success; else what it says instead.
pub(super) fn read(what: &'static str, answer: &Answer) -> Result<Value, MintError> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status.is_success() {
        return body.filter(|_| !answer.body_over_cap).ok_or(MintError::Meaningless(what, "JSON"));
    }
    Err(MintError::Refused(what, answer.status.as_u16(), reason(body.as_ref())))
}

/// What an error says of itself: OAuth's two fields, or the message of Google's APIs. Never a whole body, which may repeat
/// what was sent.
fn reason(body: Option<&Value>) -> String {
    let text = |pointer: &str| body.and_then(|body| body.pointer(pointer)).and_then(Value::as_str);
    let said: Vec<&str> = ["/error", "/error_description", "/error/message"].into_iter().filter_map(text).collect();
    if said.is_empty() {
        return String::new();
    }
    format!(": {}", excerpt::clean(said.join(": ").as_bytes(), 512))
}
