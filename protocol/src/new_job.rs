//! Jobs as producers write them, over REST or from the command line.
//!
//! Types, unknown fields and what Postgres cannot store are refused here, each fault with its field. Ranges, sizes,
//! names and defaults are the business of `posthaste.enqueue`, once for every producer.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::field::Field;
use crate::job_callback::{self, JobCallback};
use crate::object::{Faults, Path, Shape, read_document};
use crate::problem::FieldError;

/// The most tags read from one job; `posthaste.enqueue` allows fewer.
const MAX_TAGS: usize = 1000;
const SHAPE: Shape = Shape {
    known: &[
        "kind",
        "args",
        "queue",
        "endpoint",
        "priority",
        "run_at",
        "delay_ms",
        "max_attempts",
        "timeout_ms",
        "expires_at",
        "tags",
        "metadata",
        "headers",
        "callback",
    ],
    later: &["unique", "ordering_key", "concurrency_key", "depends_on", "on_success", "on_failure"],
};

/// A job to enqueue. `None` leaves the default to the database; in JSON, `null` is the same as absent for every
/// field but `args`.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What to do: the name by which endpoints take jobs.
    pub kind: String,
    /// The function's input, byte for byte as written; `{}` if absent. At most 64 deep, without `\u0000`.
    pub args: Box<RawValue>,
    /// The queue.
    pub queue: Option<String>,
    /// The endpoint, where the kind's own is not wanted.
    pub endpoint: Option<String>,
    /// 1 (first) to 4 (last).
    pub priority: Option<i32>,
    /// Not before this time.
    pub run_at: Option<DateTime<Utc>>,
    /// Not before this many milliseconds from now.
    pub delay_ms: Option<i64>,
    /// How many attempts may fail before the job is dead.
    pub max_attempts: Option<i32>,
    /// How long the function has, in milliseconds.
    pub timeout_ms: Option<i64>,
    /// When the job is no longer worth running.
    pub expires_at: Option<DateTime<Utc>>,
    /// Labels to find the job by.
    pub tags: Vec<String>,
    /// The producer's own notes: a JSON object, byte for byte as written.
    pub metadata: Option<Box<RawValue>>,
    /// Headers to send with the dispatch request, names as written.
    pub headers: BTreeMap<String, String>,
    /// What it says of its own callbacks.
    pub callback: Option<JobCallback>,
}

impl NewJob {
    /// A job of this kind with every default.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            args: empty_object(),
            queue: None,
            endpoint: None,
            priority: None,
            run_at: None,
            delay_ms: None,
            max_attempts: None,
            timeout_ms: None,
            expires_at: None,
            tags: Vec::new(),
            metadata: None,
            headers: BTreeMap::new(),
            callback: None,
        }
    }

    /// Reads one job. `Err` holds every fault (at most 100); a text that is not JSON is the single fault
    /// `malformed_json` (see [`crate::problem::Problem::invalid`]).
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let mut faults = Faults::default();
        let mut job = Self::new(String::new());
        let mut kind = None;
        let mut kind_given = false;
        read_document(json, SHAPE, &mut faults, |name, field, faults| {
            if name == "kind" {
                kind_given = !field.is_null();
                kind = field.text(faults);
            } else {
                job.set(name, field, faults);
            }
        })?;
        if !kind_given && json.trim_ascii_start().starts_with('{') {
            faults.push(&Path::Field(&Path::Root, "kind"), "required", "is required");
        }
        faults.or(kind.map(|kind| Self { kind, ..job }))
    }

    fn set(&mut self, name: &str, field: Field, faults: &mut Faults) {
        match name {
            "args" => self.args = field.verbatim(faults).unwrap_or_else(empty_object),
            "queue" => self.queue = field.text(faults),
            "endpoint" => self.endpoint = field.text(faults),
            "priority" => self.priority = field.integer(faults),
            "run_at" => self.run_at = field.time(faults),
            "delay_ms" => self.delay_ms = field.integer(faults),
            "max_attempts" => self.max_attempts = field.integer(faults),
            "timeout_ms" => self.timeout_ms = field.integer(faults),
            "expires_at" => self.expires_at = field.time(faults),
            "callback" => self.callback = job_callback::read(&field, faults),
            "metadata" => self.metadata = field.verbatim_object(faults),
            "tags" => {
                field.items(MAX_TAGS, faults, |tag, faults| {
                    self.tags.extend(tag.some_text(faults));
                });
            }
            _ => field_headers(&mut self.headers, field, faults),
        }
    }
}

/// Reads `headers`: a string for each name, no name twice in any case.
fn field_headers(headers: &mut BTreeMap<String, String>, field: Field, faults: &mut Faults) {
    if field.is_null() {
        return;
    }
    field.entries(faults, |name, value, faults| {
        if name.contains('\0') {
            value.fault("nul_character", "must not contain the character \\u0000", faults);
            return;
        }
        let Some(text) = value.some_text(faults) else {
            return;
        };
        if headers.insert(name.to_owned(), text).is_some() {
            value.fault("duplicate_field", "is given more than once", faults);
        }
    });
}

/// `{}`. Parsing it cannot fail; `null` would stand in, so that there is no way to panic.
fn empty_object() -> Box<RawValue> {
    serde_json::from_str("{}").unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(json: &str) -> Vec<(String, String)> {
        NewJob::parse(json).unwrap_err().into_iter().map(|e| (e.field, e.code)).collect()
    }

    fn fault(json: &str) -> (String, String) {
        let all = faults(json);
        assert_eq!(all.len(), 1, "{json}: {all:?}");
        all.into_iter().next().unwrap()
    }

    fn is(field: &str, code: &str) -> (String, String) {
        (field.to_owned(), code.to_owned())
    }

    #[test]
    fn every_field_is_read() {
        let job = NewJob::parse(
            r#" {"kind":"e\u006dail","args": {"b" : 1,"a":2.50} ,"queue":"q","endpoint":"e","priority":3,
                "run_at":"2026-11-21T09:00:00.1234567+01:00","delay_ms":5,"max_attempts":7,"timeout_ms":8,
                "expires_at":"2026-11-22T00:00:00Z","tags":["x","y"],"metadata":{"m":[]},"headers":{"x-a":"1"},
                "callback":{"cel":{"filter":"payload.ok"}}} "#,
        )
        .unwrap();
        assert_eq!((job.kind.as_str(), job.args.get()), ("email", r#"{"b" : 1,"a":2.50}"#));
        assert_eq!((job.queue.as_deref(), job.endpoint.as_deref()), (Some("q"), Some("e")));
        assert_eq!(
            (job.priority, job.delay_ms, job.max_attempts, job.timeout_ms),
            (Some(3), Some(5), Some(7), Some(8))
        );
        assert_eq!(job.run_at.unwrap().to_rfc3339(), "2026-11-21T08:00:00.123456+00:00");
        assert_eq!(job.tags, ["x", "y"]);
        assert_eq!(job.metadata.unwrap().get(), r#"{"m":[]}"#);
        assert_eq!(job.headers["x-a"], "1");
        assert_eq!(serde_json::to_string(&job.callback).unwrap(), r#"{"cel":{"filter":"payload.ok"}}"#);
    }

    #[test]
    fn absent_args_are_an_empty_object_and_null_args_are_null() {
        assert_eq!(NewJob::parse(r#"{"kind":"k"}"#).unwrap().args.get(), "{}");
        assert_eq!(NewJob::parse(r#"{"kind":"k","args":null}"#).unwrap().args.get(), "null");
    }

    #[test]
    fn null_is_the_same_as_absent() {
        let job = NewJob::parse(
            r#"{"kind":"k","queue":null,"priority":null,"run_at":null,"tags":null,"metadata":null,"headers":null}"#,
        )
        .unwrap();
        assert!(job.queue.is_none() && job.tags.is_empty() && job.metadata.is_none());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let all = faults(
            r#"{"kind":1,"queue":[],"priority":"2","run_at":"tomorrow","delay_ms":1.5,"max_attempts":99999999999,
                "tags":["a",1,null],"metadata":[],"headers":{"x-foo":1,"x-bar":null},"unique":{},
                "callback":{"cel":{"filter":1},"timeout_ms":2592000001},"nope":1}"#,
        );
        assert_eq!(
            all,
            [
                is("kind", "wrong_type"),
                is("queue", "wrong_type"),
                is("priority", "wrong_type"),
                is("run_at", "wrong_format"),
                is("delay_ms", "wrong_type"),
                is("max_attempts", "out_of_range"),
                is("tags[1]", "wrong_type"),
                is("tags[2]", "wrong_type"),
                is("metadata", "wrong_type"),
                is("headers.x-foo", "wrong_type"),
                is("headers.x-bar", "wrong_type"),
                is("unique", "not_supported_yet"),
                is("callback.cel.filter", "wrong_type"),
                is("callback.timeout_ms", "out_of_range"),
                is("nope", "unknown_field"),
            ]
        );
    }

    #[test]
    fn a_kind_is_required() {
        assert_eq!(fault("{}"), is("kind", "required"));
        assert_eq!(fault(r#"{"kind":null}"#), is("kind", "required"));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        assert_eq!(fault(r#"{"kind":"a","kind":"b"}"#), is("kind", "duplicate_field"));
        assert_eq!(fault(r#"{"kind":"a","args":null,"args":{}}"#), is("args", "duplicate_field"));
        assert_eq!(fault(r#"{"kind":"a","headers":{"x":"1","x":"2"}}"#), is("headers.x", "duplicate_field"));
    }

    #[test]
    fn what_postgres_cannot_store_is_refused_here() {
        assert_eq!(fault(r#"{"kind":"k","args":{"a":["\u0000"]}}"#), is("args", "nul_character"));
        assert_eq!(fault(r#"{"kind":"k\u0000"}"#), is("kind", "nul_character"));
        assert_eq!(fault(r#"{"kind":"k","tags":["\u0000"]}"#), is("tags[0]", "nul_character"));
        assert_eq!(fault(r#"{"kind":"k","metadata":{"a":"\ud800"}}"#), is("metadata", "lone_surrogate"));
        assert_eq!(fault(r#"{"kind":"k","headers":{"a\u0000":"1"}}"#).1, "nul_character");
        assert_eq!(fault(r#"{"kind":"k","headers":{"\ud800":"1"}}"#).0, "headers");
    }

    #[test]
    fn args_may_be_sixty_four_deep() {
        let nested = |n: usize| format!(r#"{{"kind":"k","args":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(NewJob::parse(&nested(64)).is_ok());
        assert_eq!(fault(&nested(65)), is("args", "too_deep"));
        assert_eq!(fault(&nested(1_000_000)), is("args", "too_deep"));
        let unknown = format!(r#"{{"kind":"k","x":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(fault(&unknown), is("x", "unknown_field"));
    }

    #[test]
    fn text_that_is_not_json_is_one_fault() {
        for text in ["", "{", "nope", r#"{"nope":1,"kind":"k""#, r#"{"kind":"k"} x"#, "{\"kind\":\"k\",}", "\u{feff}{}"]
        {
            assert_eq!(fault(text), is("", "malformed_json"), "{text:?}");
        }
        for text in ["[]", "1", "\"x\"", "null"] {
            assert_eq!(fault(text), is("", "wrong_type"), "{text:?}");
        }
    }

    #[test]
    fn faults_and_their_names_are_bounded() {
        let wide: Vec<String> = (0..500).map(|n| format!(r#""{n}{}":1"#, "x".repeat(500))).collect();
        let errors = NewJob::parse(&format!("{{{}}}", wide.join(","))).unwrap_err();
        assert_eq!(errors.len(), 100);
        assert!(errors.iter().all(|e| e.field.len() <= 100));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[{}\[\]":,\\a-u0-9 ]{0,40}"#) {
            let _unimportant = NewJob::parse(&text);
            let _unimportant = NewJob::parse(&format!(r#"{{"kind":"k","args":{text}}}"#));
        }
    }
}
