//! `posthaste cel eval`: expressions, tried on a payload. Needs no database.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use posthaste_engine::filter::{self, TrialAnswer};
use posthaste_protocol::{
    cel::{CelSpec, DefaultAction, trial::Trial},
    problem::FieldError,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    failure::{Malformed, Said, Usage},
    input, output,
};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Evaluate expressions over a payload, and say what they make of it
    #[command(after_help = "An expression is CEL text, or @FILE. Example: posthaste cel eval --on-complete \
                            \"payload.type == 'invoice.paid'\" --payload @event.json")]
    Eval(Box<Options>),
}

/// What to evaluate, and over what.
#[derive(Debug, Args)]
pub struct Options {
    /// One expression, whose value is printed
    #[arg(value_name = "EXPRESSION", conflicts_with_all = ["cel", "filter", "on_fail", "on_complete", "transform", "default_action", "fail_open"])]
    expression: Option<String>,
    /// What an endpoint, a job or a wait has as "cel": JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE|-", conflicts_with_all = ["filter", "on_fail", "on_complete", "transform", "default_action", "fail_open"])]
    cel: Option<String>,
    /// Whether the webhook is meant at all
    #[arg(long, value_name = "CEL|@FILE")]
    filter: Option<String>,
    /// Whether it means that the work failed
    #[arg(long, value_name = "CEL|@FILE")]
    on_fail: Option<String>,
    /// Whether it means that the work is done
    #[arg(long, value_name = "CEL|@FILE")]
    on_complete: Option<String>,
    /// What becomes of the payload before it is the result
    #[arg(long, value_name = "CEL|@FILE")]
    transform: Option<String>,
    /// What happens where no expression decided: complete, fail or ignore
    #[arg(long, value_name = "WORD")]
    default_action: Option<DefaultAction>,
    /// Go on as if an expression that cannot be evaluated had not been written
    #[arg(long)]
    fail_open: bool,
    /// What was sent: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE|-")]
    payload: String,
    /// A header that was sent; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The job, as in {"id": "42", "kind": "…", "queue": "…", "tags": [], "metadata": {}}: JSON or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    job: Option<String>,
    /// The attempt, as in {"number": 1, "run_lease": 1}: JSON or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    attempt: Option<String>,
    /// Print JSON, as POST /v1/cel/eval answers it
    #[arg(long)]
    json: bool,
}

/// The body of `POST /v1/cel/eval`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    cel: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    payload: Box<RawValue>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<Box<RawValue>>,
}

/// Runs one of them.
pub fn run(command: Command) -> anyhow::Result<()> {
    let Command::Eval(options) = command;
    // Checked as the API does, by the same reader.
    let document = serde_json::to_string(&document(&options)?)?;
    let trial = Trial::parse(&document).map_err(Malformed)?;
    let answer = filter::try_out(&trial).map_err(Malformed)?;
    let evaluated = answer.error.as_ref().is_none_or(|error| error.expression.is_none());
    if options.json {
        output::json(&answer)?;
    } else {
        print(&answer);
    }
    if evaluated { Ok(()) } else { Err(Said.into()) }
}

fn document(options: &Options) -> anyhow::Result<Document> {
    if options.cel.as_deref() == Some("-") && options.payload == "-" {
        return Err(Usage("only one of --cel and --payload can be read from stdin".to_owned()).into());
    }
    let json = |field: &str, given: &Option<String>| given.as_deref().map(|text| input::json(field, text)).transpose();
    let expression = options.expression.as_deref().map(input::expression).transpose()?;
    let cel = match json("cel", &options.cel)? {
        None if expression.is_none() => Some(to_raw_value(&spec(options)?)?),
        cel => cel,
    };
    Ok(Document {
        cel,
        expression,
        payload: input::json("payload", &options.payload)?,
        headers: headers(&options.headers)?,
        job: json("job", &options.job)?,
        attempt: json("attempt", &options.attempt)?,
    })
}

fn spec(options: &Options) -> anyhow::Result<CelSpec> {
    let read = |given: &Option<String>| given.as_deref().map(input::expression).transpose();
    Ok(CelSpec {
        filter: read(&options.filter)?,
        on_fail: read(&options.on_fail)?,
        on_complete: read(&options.on_complete)?,
        transform: read(&options.transform)?,
        default: options.default_action,
        fail_open: options.fail_open,
    })
}

fn headers(given: &[String]) -> Result<BTreeMap<String, String>, Malformed> {
    let mut headers = BTreeMap::new();
    for line in given {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Malformed(vec![FieldError::new("header", "wrong_format", "must be NAME: VALUE")]));
        };
        headers.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(headers)
}

/// `complete` and the result, `fail` or `quarantine` and why, `ignore`; of a single expression its value.
fn print(answer: &TrialAnswer) {
    let json = answer.result.as_deref().or(answer.value.as_deref()).map(RawValue::get);
    let said = json.map(str::to_owned).or_else(|| {
        let error = answer.error.as_ref()?;
        let expression = error.expression.map(|expression| format!("{expression}: ")).unwrap_or_default();
        Some(format!("{expression}{} [{}]", error.message, error.code))
    });
    let said = said.as_deref().map(output::clean);
    match (answer.verdict, said) {
        (Some(verdict), Some(said)) => output::data(format_args!("{verdict} {said}")),
        (Some(verdict), None) => output::data(verdict),
        (None, Some(said)) if answer.error.is_none() => output::data(said),
        (None, said) => output::error(said.unwrap_or_default()),
    }
}
