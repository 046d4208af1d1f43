//! A checked job as the JSON that `posthaste.enqueue_json_v1` reads: args and metadata byte for byte as they came.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use posthaste_protocol::{job_callback::JobCallback, new_job::NewJob};
use serde::Serialize;
use serde_json::value::RawValue;

/// The fields of a job that are given; the database knows the defaults of the others.
#[derive(Serialize)]
struct Row<'a> {
    kind: &'a str,
    args: &'a RawValue,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    args_is_null: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'a JobCallback>,
}

/// The JSON text of one job.
pub fn job_text(job: &NewJob, traceparent: Option<&str>) -> String {
    let row = Row {
        kind: &job.kind,
        args: &job.args,
        args_is_null: job.args.get() == "null",
        queue: job.queue.as_deref(),
        endpoint: job.endpoint.as_deref(),
        priority: job.priority,
        run_at: job.run_at,
        delay_ms: job.delay_ms,
        max_attempts: job.max_attempts,
        timeout_ms: job.timeout_ms,
        expires_at: job.expires_at,
        tags: &job.tags,
        metadata: job.metadata.as_deref(),
        headers: &job.headers,
        traceparent,
        callback: job.callback.as_ref(),
    };
    // Strings, numbers, raw JSON and string maps cannot fail to be written.
    serde_json::to_string(&row).unwrap_or_default()
}

/// The JSON array of these jobs.
pub fn array_text<'a>(jobs: impl ExactSizeIterator<Item = &'a str> + Clone) -> String {
    let length: usize = jobs.clone().map(|job| job.len() + 1).sum();
    let mut text = String::with_capacity(length + 2);
    text.push('[');
    for (n, job) in jobs.enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(job);
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_written_and_args_stay_as_they_were() {
        let job = NewJob::parse(r#"{"kind":"a\"b","args": {"x" : 1.50},"tags":["t"],"delay_ms":5}"#).unwrap();
        let text = job_text(&job, Some("00-1"));
        assert_eq!(text, r#"{"kind":"a\"b","args":{"x" : 1.50},"delay_ms":5,"tags":["t"],"traceparent":"00-1"}"#);
    }

    #[test]
    fn null_args_are_marked() {
        let job = NewJob::parse(r#"{"kind":"k","args":null}"#).unwrap();
        assert_eq!(job_text(&job, None), r#"{"kind":"k","args":null,"args_is_null":true}"#);
    }

    #[test]
    fn an_array_holds_its_jobs_in_order() {
        assert_eq!(array_text(["1", "2"].into_iter()), "[1,2]");
        assert_eq!(array_text(std::iter::empty::<&str>().collect::<Vec<_>>().into_iter()), "[]");
    }
}
