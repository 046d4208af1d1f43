//! What expressions are evaluated over.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use posthaste_protocol::id::JobId;
use serde_json::Value as Json;

use super::meter::Stop;
use super::node::Root;
use super::value::{List, Text, Value};

/// The fields of `job`.
pub(super) const JOB_FIELDS: [&str; 6] = ["id", "kind", "queue", "attempt", "tags", "metadata"];
/// The fields of `attempt`.
pub(super) const ATTEMPT_FIELDS: [&str; 2] = ["number", "run_lease"];

/// What came, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// `payload`: what was sent, as [`super::read_payload`] reads it.
    pub payload: &'a Json,
    /// `headers`: names in lower case; of several values of one name whatever the caller made of them. What an
    /// expression must not see is left out by the caller.
    pub headers: &'a BTreeMap<String, String>,
    /// `job` and `attempt`; `None` while nobody knows to which run it came.
    pub run: Option<InputRun<'a>>,
}

/// The run that waits.
#[derive(Debug, Clone, Copy)]
pub struct InputRun<'a> {
    /// `job.id`, a string.
    pub job_id: JobId,
    /// `job.kind`
    pub kind: &'a str,
    /// `job.queue`
    pub queue: &'a str,
    /// `job.tags`, a list of strings.
    pub tags: &'a [String],
    /// `job.metadata`, a map.
    pub metadata: &'a Json,
    /// `attempt.number` and `job.attempt`: from 1.
    pub attempt: u32,
    /// `attempt.run_lease`: only ever grows for a job.
    pub run_lease: i64,
}

/// The input as values; each part but the payload is made when it is first asked for.
pub(super) struct Roots<'a> {
    input: Input<'a>,
    headers: OnceCell<Value<'a>>,
    job: OnceCell<Value<'a>>,
    attempt: OnceCell<Value<'a>>,
}

impl<'a> Roots<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input, headers: OnceCell::new(), job: OnceCell::new(), attempt: OnceCell::new() }
    }

    pub(super) fn get(&self, root: Root) -> Result<Value<'a>, Stop> {
        let run = || self.input.run.as_ref().ok_or_else(|| Stop::failed("nobody knows yet for which job this is"));
        Ok(match root {
            Root::Payload => Value::of_json(self.input.payload),
            Root::Headers => self.headers.get_or_init(|| headers(self.input.headers)).clone(),
            Root::Job => {
                let run = run()?;
                self.job.get_or_init(|| job(run)).clone()
            }
            Root::Attempt => {
                let run = run()?;
                self.attempt.get_or_init(|| attempt(run)).clone()
            }
        })
    }
}

fn headers(headers: &BTreeMap<String, String>) -> Value<'_> {
    Value::map(headers.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::text(value))).collect())
}

fn job<'a>(run: &InputRun<'a>) -> Value<'a> {
    let tags = run.tags.iter().map(|tag| Value::text(tag)).collect();
    let values = [
        Value::String(Text::Made(run.job_id.to_string().into())),
        Value::text(run.kind),
        Value::text(run.queue),
        Value::Int(run.attempt.into()),
        Value::List(List::Made(tags)),
        Value::of_json(run.metadata),
    ];
    fields(JOB_FIELDS, values)
}

fn attempt<'a>(run: &InputRun<'a>) -> Value<'a> {
    fields(ATTEMPT_FIELDS, [Value::Int(run.attempt.into()), Value::Int(run.run_lease)])
}

fn fields<'a, const N: usize>(names: [&'static str; N], values: [Value<'a>; N]) -> Value<'a> {
    Value::map(names.into_iter().map(Cow::Borrowed).zip(values).collect())
}
