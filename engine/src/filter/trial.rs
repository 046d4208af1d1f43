//! Trying expressions on a payload that somebody made up.

use posthaste_protocol::cel::trial::{Trial, TrialOf};
use posthaste_protocol::problem::FieldError;
use serde::Serialize;
use serde_json::{Value as Json, value::RawValue};

use super::{EvalError, Expression, Filter, Input, InputRun, Verdict, read_payload};

/// What a trial came to. `Serialize` gives what `POST /v1/cel/eval` answers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TrialAnswer {
    /// Of a filter: `complete`, `fail`, `ignore`, or `quarantine` where it could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    /// Of `complete`: the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Of a single expression: its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// Of `fail`, or of what could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<TrialError>,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialError {
    /// `callback_failed`, or the code of an [`EvalError`].
    pub code: String,
    /// Which expression could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<&'static str>,
    /// For people.
    pub message: String,
}

/// Compiles and evaluates. `Err` names what does not compile, and a payload out of bounds; what cannot be evaluated is
/// an answer.
pub fn try_out(trial: &Trial) -> Result<TrialAnswer, Vec<FieldError>> {
    let read = |field: &str, json: &RawValue| {
        read_payload(json.get().as_bytes())
            .map_err(|error| vec![FieldError::new(field, error.code(), error.to_string())])
    };
    let payload = read("payload", &trial.payload)?;
    let run = &trial.run;
    let metadata = run.metadata.as_deref().map(|json| read("job.metadata", json)).transpose()?;
    let metadata = metadata.unwrap_or_else(|| Json::Object(serde_json::Map::new()));
    let input = Input {
        payload: &payload,
        headers: &trial.headers,
        run: Some(InputRun {
            job_id: run.job_id,
            kind: &run.kind,
            queue: &run.queue,
            tags: &run.tags,
            metadata: &metadata,
            attempt: run.attempt,
            run_lease: run.run_lease,
        }),
    };
    match &trial.of {
        TrialOf::Filter(spec) => {
            let filter = Filter::compile(spec)
                .map_err(|faults| faults.into_iter().map(|fault| fault.within("cel")).collect::<Vec<_>>())?;
            Ok(judged(filter.judge(&input), &trial.payload))
        }
        TrialOf::Expression(text) => {
            let expression = Expression::compile(text).map_err(|fault| vec![fault.within("expression")])?;
            Ok(match expression.evaluate(&input) {
                Ok(value) => TrialAnswer { value: raw(value), ..TrialAnswer::default() },
                Err(error) => TrialAnswer { error: Some(error.into()), ..TrialAnswer::default() },
            })
        }
    }
}

fn judged(verdict: Result<Verdict, EvalError>, payload: &RawValue) -> TrialAnswer {
    let (verdict, result, error) = match verdict {
        Ok(Verdict::Complete { result }) => ("complete", result.map_or_else(|| Some(payload.to_owned()), raw), None),
        Ok(Verdict::Fail { error }) => {
            let error = TrialError { code: error.code.into_owned(), expression: None, message: error.message };
            ("fail", None, Some(error))
        }
        Ok(Verdict::Ignore) => ("ignore", None, None),
        Err(error) => ("quarantine", None, Some(error.into())),
    };
    TrialAnswer { verdict: Some(verdict), result, value: None, error }
}

/// JSON text that we wrote ourselves.
fn raw(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

impl From<EvalError> for TrialError {
    fn from(error: EvalError) -> Self {
        Self { code: error.code.to_owned(), expression: Some(error.expression), message: error.message }
    }
}
