//! The REST API: for producers that share no database with Posthaste, and for operators.

mod pages;

use std::{
    fmt,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use http::HeaderValue;
pub use posthaste_protocol::job::{Attempt, AttemptClass, AttemptOutcome, Job, JobError, JobRef};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use url::Url;

pub use self::pages::{JobFilter, Pages};
pub use crate::http_client::{CallError, Problem};
use crate::{JobId, NewJob, State, http_client, new_job::Document};

/// How long an answer may take that is not waited for.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that one request waits.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A client of the API. A call is repeated, up to five times, where the server was busy or nobody answered, unless it says
/// otherwise. Prints without its key.
///
/// ```no_run
/// # async fn enqueue() -> posthaste::Result<()> {
/// use std::time::Duration;
/// use posthaste::{NewJob, client::Client};
///
/// let client = Client::new("http://127.0.0.1:8710")?;
/// let job = client.enqueue(&NewJob::new("hello", &serde_json::json!({"name": "Ada"}))).await?;
/// let job = client.wait(job.id, Duration::from_secs(10)).await?;
/// if let Some(result) = job.result {
///     println!("{}", serde_json::from_str::<String>(result.get())?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    base: Url,
    /// Marked as sensitive, so it is not printed.
    authorization: Option<HeaderValue>,
}

/// What became of a request to cancel a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Cancelling {
    /// The job.
    pub id: JobId,
    /// `cancelled`; or, of a job that was asked to stop, how it stands.
    pub state: State,
    /// Whether it was asked to stop, and has not yet.
    #[serde(default)]
    pub cancel_requested: bool,
}

/// Why a job is not running.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The job.
    pub id: JobId,
    /// How it stands.
    pub state: State,
    /// The stable reason, such as `no_endpoint_for_kind`.
    pub reason: String,
    /// The same, as a sentence.
    pub detail: String,
    /// The endpoint that takes the job, if one does.
    pub endpoint: Option<String>,
    /// Not before this time.
    pub run_at: DateTime<Utc>,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// Runs that come first, counted to 10,000; `None` unless it is available.
    pub ahead: Option<i64>,
    /// Dispatchers heard within 15 s.
    pub dispatchers: i64,
    /// Whether a dispatcher finds the endpoint misconfigured.
    pub misconfigured: bool,
}

#[derive(Deserialize)]
struct Batch {
    jobs: Vec<Enqueued>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Enqueued {
    Job(JobRef),
    Refused { error: Problem },
}

impl Client {
    /// A client of the API at this URL, as `https://posthaste.internal:8710`, with the API key of `POSTHASTE_API_KEY`, if
    /// that is set.
    #[expect(clippy::disallowed_methods, reason = "the one variable that the client documents")]
    pub fn new(url: &str) -> Result<Self, CallError> {
        match std::env::var("POSTHASTE_API_KEY") {
            Ok(key) if !key.is_empty() => Self::with_key(url, &key),
            _ => Ok(Self { base: base(url)?, authorization: None }),
        }
    }

    /// The same, with this API key.
    pub fn with_key(url: &str, api_key: &str) -> Result<Self, CallError> {
        let bearer = HeaderValue::try_from(format!("Bearer {api_key}"));
        let mut bearer = bearer.map_err(|_| CallError::Malformed("the API key cannot be sent in a header".into()))?;
        bearer.set_sensitive(true);
        Ok(Self { base: base(url)?, authorization: Some(bearer) })
    }

    /// Enqueues a job, once however often it is repeated: the request has an idempotency key of its own.
    pub async fn enqueue(&self, job: &NewJob) -> Result<JobRef, CallError> {
        self.enqueue_once(job, &uuid::Uuid::new_v4().to_string()).await
    }

    /// Enqueues a job under an idempotency key of the caller's, 1 to 255 printable characters: the same key and job again,
    /// within 24 h, is the same job; with another job it is a problem `idempotency_mismatch`.
    pub async fn enqueue_once(&self, job: &NewJob, idempotency_key: &str) -> Result<JobRef, CallError> {
        let body = serde_json::to_vec(&document(job)?)?;
        let url = self.url(&["jobs"])?;
        http_client::call(TIMEOUT, |client| {
            let request = self.authorized(client.post(url.clone())).header("content-type", "application/json");
            let request = request.header("idempotency-key", idempotency_key).body(body.clone());
            match &job.traceparent {
                Some(traceparent) => request.header("traceparent", traceparent),
                None => request,
            }
        })
        .await
    }

    /// Enqueues at most 10,000 jobs of 16 MiB together: the sound ones are committed, all or none, and each of the others
    /// tells its problem; in the order given. A trace context is that of the first job that has one.
    ///
    /// Never repeated: after [`CallError::Unreachable`] nobody knows whether they were committed.
    pub async fn enqueue_many(
        &self,
        jobs: impl IntoIterator<Item = NewJob>,
    ) -> Result<Vec<Result<JobRef, Problem>>, CallError> {
        let jobs: Vec<NewJob> = jobs.into_iter().collect();
        let documents: Vec<_> = jobs.iter().map(document).collect::<Result<_, _>>()?;
        let body = serde_json::to_vec(&documents)?;
        let url = self.url(&["jobs", "batch"])?;
        let batch: Batch = http_client::call_once(TIMEOUT, |client| {
            let request = self.authorized(client.post(url)).header("content-type", "application/json").body(body);
            match jobs.iter().find_map(|job| job.traceparent.as_ref()) {
                Some(traceparent) => request.header("traceparent", traceparent),
                None => request,
            }
        })
        .await?;
        let outcomes = batch.jobs.into_iter().map(|one| match one {
            Enqueued::Job(job) => Ok(job),
            Enqueued::Refused { error } => Err(error),
        });
        Ok(outcomes.collect())
    }

    /// The job as it is, with its newest 50 attempts.
    pub async fn job(&self, id: JobId) -> Result<Job, CallError> {
        self.get(&self.job_url(id, &[])?, TIMEOUT).await
    }

    /// Waits for the job's end, so long at most, and returns the ended job: completed, cancelled or dead. One that has not
    /// ended by then is in the error, [`CallError::NotEnded`].
    pub async fn wait(&self, id: JobId, timeout: Duration) -> Result<Job, CallError> {
        // None: longer than any clock goes.
        let until = Instant::now().checked_add(timeout);
        loop {
            let left = until.map_or(timeout, |until| until.saturating_duration_since(Instant::now())).min(LONGEST_WAIT);
            let mut url = self.job_url(id, &[])?;
            url.query_pairs_mut().append_pair("wait_ms", &left.as_millis().to_string());
            let job: Job = self.get(&url, left + TIMEOUT).await?;
            if job.state.is_terminal() {
                return Ok(job);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(CallError::NotEnded { job: Box::new(job), waited: timeout });
            }
        }
    }

    /// The jobs that fit, newest first, page by page, without their attempts.
    pub fn list(&self, filter: JobFilter) -> Pages<'_> {
        Pages::new(self, filter)
    }

    /// Cancels the job. One that is running or waiting is asked to stop, and is cancelled after its grace.
    pub async fn cancel(&self, id: JobId, reason: Option<&str>) -> Result<Cancelling, CallError> {
        self.cancel_with(id, reason, false).await
    }

    /// Cancels the job at once, whether it runs or not.
    pub async fn cancel_now(&self, id: JobId, reason: Option<&str>) -> Result<Cancelling, CallError> {
        self.cancel_with(id, reason, true).await
    }

    async fn cancel_with(&self, id: JobId, reason: Option<&str>, force: bool) -> Result<Cancelling, CallError> {
        let url = self.job_url(id, &["cancel"])?;
        let body = json!({"reason": reason, "force": force}).to_string();
        http_client::call(TIMEOUT, |client| {
            let request = self.authorized(client.post(url.clone())).header("content-type", "application/json");
            request.body(body.clone())
        })
        .await
    }

    /// Makes an ended job available again, or a scheduled one now; a problem `conflict` where it is neither. Never
    /// repeated.
    pub async fn retry(&self, id: JobId) -> Result<JobRef, CallError> {
        let url = self.job_url(id, &["retry"])?;
        http_client::call_once(TIMEOUT, |client| self.authorized(client.post(url))).await
    }

    /// Why the job is not running.
    pub async fn explain(&self, id: JobId) -> Result<Explanation, CallError> {
        self.get(&self.job_url(id, &["explain"])?, TIMEOUT).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url, timeout: Duration) -> Result<T, CallError> {
        http_client::call(timeout, |client| self.authorized(client.get(url.clone()))).await
    }

    fn job_url(&self, id: JobId, more: &[&str]) -> Result<Url, CallError> {
        self.url(&[&["jobs", &id.to_string()], more].concat())
    }

    fn url(&self, path: &[&str]) -> Result<Url, CallError> {
        let mut url = self.base.clone();
        let no_path = |()| CallError::Malformed("a URL that holds no path".into());
        let mut segments = url.path_segments_mut().map_err(no_path)?;
        segments.pop_if_empty().push("v1").extend(path);
        drop(segments);
        Ok(url)
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization.clone()),
            None => request,
        }
    }
}

/// The job as the API takes it: its trace context goes into a header.
fn document(job: &NewJob) -> Result<Document<'_>, CallError> {
    // The error is shared with the job: its text is what can be kept.
    job.document(false).map_err(|error| CallError::Json(<serde_json::Error as serde::ser::Error>::custom(error)))
}

fn base(url: &str) -> Result<Url, CallError> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or(CallError::Malformed("the URL of the API is not an http or https URL".into()))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
