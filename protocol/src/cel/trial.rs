//! A trial of expressions: what they make of a payload that somebody made up. Body of `POST /v1/cel/eval`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::{CelSpec, read, read_expression};
use crate::field::Field;
use crate::id::JobId;
use crate::object::{Faults, Path, Shape, read_document};
use crate::problem::FieldError;

const SHAPE: Shape = Shape { known: &["cel", "expression", "payload", "headers", "job", "attempt"], later: &[] };
const JOB_SHAPE: Shape = Shape { known: &["id", "kind", "queue", "tags", "metadata"], later: &[] };
const ATTEMPT_SHAPE: Shape = Shape { known: &["number", "run_lease"], later: &[] };
/// As many as a job may have.
const MAX_TAGS: usize = 20;

/// Expressions, and what to evaluate them over.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What to evaluate.
    pub of: TrialOf,
    /// `payload`: any JSON of at most 64 levels, without `\u0000`.
    pub payload: Box<RawValue>,
    /// `headers`, names in lower case. Default none.
    pub headers: BTreeMap<String, String>,
    /// `job` and `attempt`.
    pub run: TrialRun,
}

/// What a trial evaluates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialOf {
    /// `cel`: expressions that together give a verdict.
    Filter(CelSpec),
    /// `expression`: one that gives a value.
    Expression(String),
}

/// The run that waits for the webhook. What is left out is that of [`TrialRun::default`].
#[derive(Debug, Clone)]
pub struct TrialRun {
    /// `job.id`.
    pub job_id: JobId,
    /// `job.kind`.
    pub kind: String,
    /// `job.queue`.
    pub queue: String,
    /// `job.tags`, at most 20.
    pub tags: Vec<String>,
    /// `job.metadata`: an object; `None` is an empty one.
    pub metadata: Option<Box<RawValue>>,
    /// `attempt.number`, from 1.
    pub attempt: u32,
    /// `attempt.run_lease`, from 1.
    pub run_lease: i64,
}

impl Default for TrialRun {
    /// The first run of job 1, of the kind `example`.
    fn default() -> Self {
        Self {
            job_id: JobId(1),
            kind: "example".to_owned(),
            queue: "default".to_owned(),
            tags: Vec::new(),
            metadata: None,
            attempt: 1,
            run_lease: 1,
        }
    }
}

impl Trial {
    /// Reads a trial. `Err` holds every fault (at most 100); a text that is not JSON is the single fault
    /// `malformed_json`. Exactly one of `cel` and `expression` must be there, and a `payload`.
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let mut faults = Faults::default();
        let mut given = BTreeSet::new();
        let (mut filter, mut expression, mut payload) = (None, None, None);
        let (mut headers, mut run) = (BTreeMap::new(), TrialRun::default());
        read_document(json, SHAPE, &mut faults, |name, field, faults| {
            if !field.is_null() || name == "payload" {
                given.insert(name);
            }
            match name {
                "cel" => filter = read(&field, faults),
                "expression" => expression = read_expression(&field, faults),
                "payload" => payload = field.verbatim(faults),
                "headers" => headers = read_headers(&field, faults),
                "job" => read_job(&mut run, &field, faults),
                _ => read_attempt(&mut run, &field, faults),
            }
        })?;
        if json.trim_ascii_start().starts_with('{') {
            let mut fault = |name, code, message: &str| faults.push(&Path::Field(&Path::Root, name), code, message);
            match (given.contains("cel"), given.contains("expression")) {
                (true, true) => fault("expression", "conflict", "cannot go with cel"),
                (false, false) => fault("cel", "required", "is required, or expression"),
                _ => {}
            }
            if !given.contains("payload") {
                fault("payload", "required", "is required");
            }
        }
        let of = filter.map(TrialOf::Filter).or(expression.map(TrialOf::Expression));
        faults.or(of.zip(payload).map(|(of, payload)| Self { of, payload, headers, run }))
    }
}

fn read_headers(field: &Field, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    if field.is_null() {
        return headers;
    }
    field.entries(faults, |name, value, faults| {
        if let Some(text) = value.some_text(faults)
            && headers.insert(name.to_ascii_lowercase(), text).is_some()
        {
            value.fault("duplicate_field", "is given more than once", faults);
        }
    });
    headers
}

fn read_job(run: &mut TrialRun, field: &Field, faults: &mut Faults) {
    field.object(JOB_SHAPE, faults, |name, part, faults| match name {
        "id" => {
            let id = part.text(faults).map(|text| text.parse());
            match id {
                Some(Ok(id)) => run.job_id = id,
                Some(Err(_)) => part.fault("wrong_format", "must be a job id, such as \"42\"", faults),
                None => {}
            }
        }
        "kind" => replace(&mut run.kind, part.text(faults)),
        "queue" => replace(&mut run.queue, part.text(faults)),
        "metadata" => run.metadata = part.verbatim_object(faults),
        _ => {
            part.items(MAX_TAGS, faults, |tag, faults| run.tags.extend(tag.some_text(faults)));
        }
    });
}

fn read_attempt(run: &mut TrialRun, field: &Field, faults: &mut Faults) {
    field.object(ATTEMPT_SHAPE, faults, |name, part, faults| match name {
        "number" => replace(&mut run.attempt, within(&part, u64::from(u32::MAX), faults)),
        _ => replace(&mut run.run_lease, within(&part, i64::MAX.unsigned_abs(), faults)),
    });
}

fn within<T: TryFrom<u64>>(field: &Field, max: u64, faults: &mut Faults) -> Option<T> {
    field.integer_in(1, max, faults).and_then(|number| number.try_into().ok())
}

fn replace<T>(default: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *default = given;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Vec<(String, String)> {
        Trial::parse(json).unwrap_err().into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn what_is_left_out_is_made_up() {
        let trial = Trial::parse(r#"{"expression":"payload","payload":null}"#).unwrap();
        assert_eq!(trial.of, TrialOf::Expression("payload".to_owned()));
        assert_eq!((trial.payload.get(), trial.run.job_id, trial.run.attempt), ("null", JobId(1), 1));
        let trial = Trial::parse(
            r#"{"cel":{"filter":"true","fail_open":true},"payload":{"a" : 1},"headers":{"X-A":"b"},
                "job":{"id":"42","kind":"k","queue":"q","tags":["t"],"metadata":{"m":1}},"attempt":{"number":3,"run_lease":9}}"#,
        )
        .unwrap();
        assert!(matches!(&trial.of, TrialOf::Filter(spec) if spec.fail_open));
        assert_eq!((trial.payload.get(), trial.headers["x-a"].as_str()), (r#"{"a" : 1}"#, "b"));
        let run = trial.run;
        assert_eq!((run.job_id, run.kind.as_str(), run.queue.as_str()), (JobId(42), "k", "q"));
        assert_eq!((run.attempt, run.run_lease, run.tags), (3, 9, vec!["t".to_owned()]));
    }

    #[test]
    fn every_fault_of_a_trial_is_named() {
        let is = |field: &str, code: &str| (field.to_owned(), code.to_owned());
        assert_eq!(faults("{}"), [is("cel", "required"), is("payload", "required")]);
        assert_eq!(
            faults(
                r#"{"cel":{"filter":1,"fail_open":"yes"},"expression":"true","payload":"\u0000","headers":{"A":"1","a":"2","b":3},
                    "job":{"id":7,"tags":[1],"x":1},"attempt":{"number":0}}"#
            ),
            [
                is("cel.filter", "wrong_type"),
                is("cel.fail_open", "wrong_type"),
                is("payload", "nul_character"),
                is("headers.a", "duplicate_field"),
                is("headers.b", "wrong_type"),
                is("job.id", "wrong_type"),
                is("job.tags[0]", "wrong_type"),
                is("job.x", "unknown_field"),
                is("attempt.number", "out_of_range"),
                is("expression", "conflict"),
            ]
        );
        assert_eq!(faults("{"), [is("", "malformed_json")]);
        assert_eq!(faults("[]"), [is("", "wrong_type")]);
    }
}
