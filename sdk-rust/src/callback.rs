//! Calling back: what a function, or whoever it gave its token, says of a run that was POSTed.

mod body;

use std::time::Duration;

use http::HeaderValue;
pub use posthaste_protocol::callback_answer::{CallbackAnswer, CallbackOutcome};
use serde::Serialize;

use crate::{http_client, milliseconds};
pub use crate::{
    http_client::{CallError, Problem},
    run::CallbackGrant,
};
pub use body::{Failed, Progress};

/// A gateway answers within seconds, or says that it cannot.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The nine callbacks of a run. Each is repeated until the gateway has answered, up to five times: the gateway
/// recognises a repeated call, and tells what became of the first.
///
/// ```no_run
/// # async fn encoded(url: &str, token: &str) -> Result<(), posthaste::callback::CallError> {
/// use posthaste::callback::{Callback, CallbackGrant};
///
/// let callback = Callback::new(&CallbackGrant::new(url, token))?;
/// callback.complete(&serde_json::json!({"frames": 1440})).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Callback {
    url: String,
    /// Marked as sensitive, so it is not printed.
    authorization: HeaderValue,
}

impl Callback {
    /// Calls back where, and with what, this grant says.
    pub fn new(grant: &CallbackGrant) -> Result<Self, CallError> {
        let bearer = format!("Bearer {}", grant.token());
        let mut authorization =
            HeaderValue::try_from(bearer).map_err(|_| CallError::Malformed("not a callback token".into()))?;
        authorization.set_sensitive(true);
        Ok(Self { url: grant.url().trim_end_matches('/').to_owned(), authorization })
    }

    /// The job is done, with this result: at most 1 MiB of JSON. `&()` is no result.
    pub async fn complete(&self, result: &(impl Serialize + ?Sized)) -> Result<CallbackAnswer, CallError> {
        self.say("complete", &body::Complete { result }).await
    }

    /// The attempt failed: it is tried again by the endpoint's policy, or the job is dead.
    pub async fn fail(&self, failed: Failed) -> Result<CallbackAnswer, CallError> {
        self.say("fail", &failed).await
    }

    /// Try again, not before this long from now; an attempt is used.
    pub async fn retry(&self, after: Option<Duration>) -> Result<CallbackAnswer, CallError> {
        self.say("retry", &body::Later { after_ms: after.map(milliseconds::of) }).await
    }

    /// Ask again after this long, or a minute; no attempt is used.
    pub async fn snooze(&self, after: Option<Duration>) -> Result<CallbackAnswer, CallError> {
        self.say("snooze", &body::Later { after_ms: after.map(milliseconds::of) }).await
    }

    /// Cancel the job.
    pub async fn cancel(&self, reason: Option<&str>) -> Result<CallbackAnswer, CallError> {
        self.say("cancel", &body::Cancel { reason }).await
    }

    /// The work goes on: the deadline becomes so long from now, or the same time-out again. The answer says until when, and
    /// whether the job is asked to be cancelled.
    pub async fn heartbeat(&self, extend: Option<Duration>) -> Result<CallbackAnswer, CallError> {
        self.say("heartbeat", &body::Heartbeat { extend_ms: extend.map(milliseconds::of) }).await
    }

    /// How far the work is.
    pub async fn progress(&self, progress: &Progress) -> Result<CallbackAnswer, CallError> {
        self.say("progress", progress).await
    }

    /// Keeps steps, an object by name, for the next runs, if `seq` is the number of those that are kept: 0 at first, and one
    /// more each time. Else it is a problem `conflict`, whose `seq` is their number.
    pub async fn checkpoint(&self, seq: u32, steps: &(impl Serialize + ?Sized)) -> Result<CallbackAnswer, CallError> {
        self.say("checkpoint", &body::Checkpoint { seq, steps }).await
    }

    /// Meets the next callback wait of a suspended function, with this payload: at most 1 MiB of JSON.
    pub async fn resume(&self, payload: &(impl Serialize + ?Sized)) -> Result<CallbackAnswer, CallError> {
        self.say("resume", &body::Resume { payload }).await
    }

    async fn say(&self, action: &str, body: &(impl Serialize + ?Sized)) -> Result<CallbackAnswer, CallError> {
        let body = serde_json::to_vec(body)?;
        let url = format!("{}/{action}", self.url);
        http_client::call(TIMEOUT, |client| {
            client
                .post(&url)
                .header("authorization", self.authorization.clone())
                .header("content-type", "application/json")
                .body(body.clone())
        })
        .await
    }
}

#[cfg(test)]
mod tests;
