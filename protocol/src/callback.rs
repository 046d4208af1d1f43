//! Callbacks: what a function, or whoever holds its token, says about a run after it was POSTed.
//!
//! The action is the last segment of the path, the body a JSON object of that action's fields. `null` is the same as
//! absent, and an empty body is the same as `{}`.

mod canonical;
mod digest;

use serde_json::value::RawValue;

pub use crate::callback_answer::{CallbackAnswer, CallbackOutcome};
pub use digest::{Digest, of_hook};

use crate::action::Action;
use crate::field::Field;
use crate::object::{Faults, Path, Shape, read_document};
use crate::problem::FieldError;
use crate::steps;

/// The most bytes of a result or a payload, as JSON.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
/// The longest message of a progress, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4096;
/// The most bytes of a progress's metadata, as JSON.
pub const MAX_PROGRESS_METADATA_BYTES: usize = 64 * 1024;
/// Thirty days, the longest that anything may take, in milliseconds.
const MAX_MS: u64 = 30 * 86_400_000;

/// A callback as it came: what it says, and the digest that recognises it when it comes again.
#[derive(Debug, Clone)]
pub struct CallbackRequest {
    /// What it says.
    pub callback: Callback,
    /// The same for every spelling of the same action and body.
    pub digest: Digest,
}

/// What a callback says. JSON values are byte for byte as they were written, at most 64 deep and without `\u0000`;
/// `None` is `null`. Milliseconds are at most 30 days.
#[derive(Debug, Clone)]
pub enum Callback {
    /// The job is done.
    Complete {
        /// Its result: at most [`MAX_VALUE_BYTES`].
        result: Option<Box<RawValue>>,
    },
    /// The attempt failed.
    Fail {
        /// Why, as sent: whoever stores it cleans and shortens it.
        error: Option<String>,
        /// Whether trying again helps. Default true.
        retryable: bool,
        /// Not to be tried again before this; 0 or none leaves it to the policy.
        retry_after_ms: Option<u64>,
    },
    /// Try again; an attempt is counted.
    Retry {
        /// Not before this; 0 or none leaves it to the policy.
        after_ms: Option<u64>,
    },
    /// Ask again later; no attempt is counted.
    Snooze {
        /// When; none leaves it to the default.
        after_ms: Option<u64>,
    },
    /// Cancel the job.
    Cancel {
        /// Why, as sent: whoever stores it cleans and shortens it.
        reason: Option<String>,
    },
    /// The function is alive.
    Heartbeat {
        /// The deadline becomes so much from now, at least 1; none means the same time-out again.
        extend_ms: Option<u64>,
    },
    /// How far the function is.
    Progress(Progress),
    /// What the function has done so far.
    Checkpoint {
        /// What is compared before it is set, 0 to 2^31 − 1.
        seq: u32,
        /// A JSON object by name of step: at most [`steps::MAX_STEPS`] and [`steps::MAX_STEPS_BYTES`].
        steps: Box<RawValue>,
    },
    /// Wake a suspended function.
    Resume {
        /// What it is told: at most [`MAX_VALUE_BYTES`].
        payload: Option<Box<RawValue>>,
    },
}

/// How far a function is. What is `None` stays as it was reported before.
#[derive(Debug, Clone)]
pub struct Progress {
    /// 0 to 100.
    pub percent: Option<f64>,
    /// For a human: at most [`MAX_MESSAGE_BYTES`].
    pub message: Option<String>,
    /// A JSON object whose members replace those of the same name: at most [`MAX_PROGRESS_METADATA_BYTES`].
    pub metadata: Option<Box<RawValue>>,
}

impl CallbackRequest {
    /// Reads the body of this action. `Err` holds every fault (at most 100); one with the code `too_large` is a 413,
    /// a text that is not JSON is the single fault `malformed_json` (see [`crate::problem::Problem::invalid`]).
    pub fn parse(action: Action, body: &str) -> Result<Self, Vec<FieldError>> {
        let body = if body.trim_ascii().is_empty() { "{}" } else { body };
        let mut faults = Faults::default();
        let mut draft = Draft::default();
        let mut members = Vec::new();
        read_document(body, shape(action), &mut faults, |name, field, faults| {
            if !field.is_null() {
                members.push((name, field.raw.get()));
                draft.set(name, &field, faults);
            }
        })?;
        if action == Action::Checkpoint && body.trim_ascii_start().starts_with('{') {
            for name in ["seq", "steps"] {
                if !members.iter().any(|(given, _)| *given == name) {
                    faults.push(&Path::Field(&Path::Root, name), "required", "is required");
                }
            }
        }
        let callback = faults.or(draft.finish(action))?;
        Ok(Self { callback, digest: digest::of_members(action, members) })
    }
}

const fn shape(action: Action) -> Shape {
    let known: &[&str] = match action {
        Action::Complete => &["result"],
        Action::Fail => &["error", "retryable", "retry_after_ms"],
        Action::Retry | Action::Snooze => &["after_ms"],
        Action::Cancel => &["reason"],
        Action::Heartbeat => &["extend_ms"],
        Action::Progress => &["percent", "message", "metadata"],
        Action::Checkpoint => &["seq", "steps"],
        Action::Resume => &["payload"],
    };
    Shape { known, later: &[] }
}

/// The fields of every action while a body is read.
#[derive(Default)]
struct Draft {
    /// `result` or `payload`.
    value: Option<Box<RawValue>>,
    /// `error`, `reason` or `message`.
    text: Option<String>,
    retryable: Option<bool>,
    /// `retry_after_ms`, `after_ms` or `extend_ms`.
    ms: Option<u64>,
    percent: Option<f64>,
    metadata: Option<Box<RawValue>>,
    seq: Option<u32>,
    steps: Option<Box<RawValue>>,
}

impl Draft {
    fn set(&mut self, name: &str, field: &Field, faults: &mut Faults) {
        match name {
            "result" | "payload" => self.value = field.verbatim_within(MAX_VALUE_BYTES, faults),
            "error" | "reason" => self.text = field.text(faults),
            "message" => self.text = field.text_within(MAX_MESSAGE_BYTES, faults),
            "retryable" => self.retryable = field.flag(faults),
            "retry_after_ms" | "after_ms" => self.ms = field.integer_in(0, MAX_MS, faults),
            "extend_ms" => self.ms = field.integer_in(1, MAX_MS, faults),
            "percent" => self.percent = read_percent(field, faults),
            "metadata" => self.metadata = field.verbatim_object_within(MAX_PROGRESS_METADATA_BYTES, faults),
            "seq" => self.seq = steps::read_seq(field, faults),
            _ => self.steps = steps::read(field, faults),
        }
    }

    /// The callback; `None` where a field that must be there is missing.
    fn finish(self, action: Action) -> Option<Callback> {
        Some(match action {
            Action::Complete => Callback::Complete { result: self.value },
            Action::Fail => {
                Callback::Fail { error: self.text, retryable: self.retryable.unwrap_or(true), retry_after_ms: self.ms }
            }
            Action::Retry => Callback::Retry { after_ms: self.ms },
            Action::Snooze => Callback::Snooze { after_ms: self.ms },
            Action::Cancel => Callback::Cancel { reason: self.text },
            Action::Heartbeat => Callback::Heartbeat { extend_ms: self.ms },
            Action::Progress => {
                Callback::Progress(Progress { percent: self.percent, message: self.text, metadata: self.metadata })
            }
            Action::Checkpoint => Callback::Checkpoint { seq: self.seq?, steps: self.steps? },
            Action::Resume => Callback::Resume { payload: self.value },
        })
    }
}

fn read_percent(field: &Field, faults: &mut Faults) -> Option<f64> {
    let percent = field.number(faults)?;
    if !(0.0..=100.0).contains(&percent) {
        field.fault("out_of_range", "must be from 0 to 100", faults);
        return None;
    }
    Some(percent)
}

#[cfg(test)]
mod tests;
