//! Calls to the gateway and to the API: bounded, and repeated where that may help.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::OnceLock, time::Duration};

use http::{HeaderMap, StatusCode, header};
use posthaste_protocol::{
    job::{Job, JobRef},
    problem::FieldError,
};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::faults;

/// How often a call is made before its failure is told.
const MAX_TRIES: u32 = 5;
/// The pause after the first try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest `retry-after` that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server said no, and why.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// The answer is not one of Posthaste: is the URL right?
    #[error("an answer that is not of Posthaste, with status {status}")]
    Answer {
        /// Its status.
        status: u16,
    },
    /// What was to be sent is no JSON.
    #[error("this cannot be sent as JSON")]
    Json(#[from] serde_json::Error),
    /// The URL, or what goes into a header, is none.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// Nobody answered. What was asked may have been done.
    #[error("nobody answered at {address}: {}", root(.error))]
    Unreachable {
        /// The host and port that were asked.
        address: String,
        /// Why; without the URL, whose path and query are not for logs.
        error: reqwest::Error,
    },
    /// The job that [`Client::wait`](crate::client::Client::wait) waited for has not ended in time.
    #[error("job {} is still {} after {waited:?}", .job.id, .job.state)]
    NotEnded {
        /// The job as it then was.
        job: Box<Job>,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl CallError {
    /// The stable code of the server's problem, if it told one, such as `already_finalized`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() {
            return Self::Malformed(format!("the call cannot be made: {}", root(&error)).into());
        }
        let address = error.url().map_or_else(|| "the server".to_owned(), address);
        Self::Unreachable { address, error: error.without_url() }
    }
}

/// What a server that says no says: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What happened, for a human.
    #[serde(default)]
    pub detail: String,
    /// Every field that was refused.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// The job that a 409 is about, as it now is.
    #[serde(default)]
    pub job: Option<JobRef>,
    /// The number that the stored steps have, where a checkpoint named another.
    #[serde(default)]
    pub seq: Option<u32>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.errors {
            [] => write!(f, "{}: {}", self.code, self.detail),
            errors => write!(f, "{}: {}", self.code, faults::text(errors)),
        }
    }
}

impl StdError for Problem {}

/// Where a URL leads, without what it may hold of secrets.
fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What an error comes down to, such as a refused connection: what is around it repeats that a call failed.
fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// One client for the process: its connections are kept, its TLS is set up once.
pub(crate) fn shared() -> Result<&'static reqwest::Client, CallError> {
    static SHARED: OnceLock<reqwest::Client> = OnceLock::new();
    if let Some(client) = SHARED.get() {
        return Ok(client);
    }
    // An error only says that the program has chosen a provider already.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        // Keys and tokens go to the URL they are meant for, and not to what an environment variable names.
        .no_proxy()
        .user_agent(concat!("posthaste-rust/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(SHARED.get_or_init(|| client))
}

/// Makes a call once: one that must not be made twice.
pub(crate) async fn call_once<T: DeserializeOwned>(
    timeout: Duration,
    request: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<T, CallError> {
    read(request(shared()?).timeout(timeout).send().await?).await
}

/// Makes a call that may be made twice, until it is answered for good: not by 429 or 503, nor by a proxy's 502 or 504.
pub(crate) async fn call<T: DeserializeOwned>(
    timeout: Duration,
    request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<T, CallError> {
    let client = shared()?;
    let mut tried = 0;
    loop {
        tried += 1;
        let answer = request(client).timeout(timeout).send().await;
        let pause = match &answer {
            Ok(answer) => pause_of(answer.status(), answer.headers(), tried),
            Err(error) if error.is_builder() => None,
            Err(_) => Some(backoff(tried)),
        };
        match pause.filter(|_| tried < MAX_TRIES) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return read(answer?).await,
        }
    }
}

/// How long to wait before an answer with this status is asked for again; `None` where it stands.
fn pause_of(status: StatusCode, headers: &HeaderMap, tried: u32) -> Option<Duration> {
    if !matches!(status.as_u16(), 429 | 502..=504) {
        return None;
    }
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    let asked = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default();
    (asked <= LONGEST_PAUSE).then(|| asked.max(backoff(tried)))
}

/// Doubles from try to try, and is up to a quarter longer, so that many who failed together do not come back together.
fn backoff(tried: u32) -> Duration {
    let pause = FIRST_PAUSE * 2u32.saturating_pow(tried - 1);
    pause + pause.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 1024.0)
}

async fn read<T: DeserializeOwned>(mut answer: reqwest::Response) -> Result<T, CallError> {
    let (status, url) = (answer.status(), answer.url().clone());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.with_url(url.clone()))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(CallError::Answer { status: status.as_u16() });
        }
        body.extend_from_slice(&chunk);
    }
    let foreign = |_| CallError::Answer { status: status.as_u16() };
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(foreign);
    }
    Err(CallError::Problem(serde_json::from_slice(&body).map_err(foreign)?))
}
