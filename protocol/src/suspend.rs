//! Suspensions: a function that answers 202 with `posthaste-outcome: suspend` says what it waits for, and is POSTed
//! again when that has happened.
//!
//! The body is `{"wait": {…}, "steps": {…}}`, or `"waits": […]` with `"need": n` to be woken by n of them.

mod wait;

use serde_json::value::RawValue;

pub use wait::{MAX_WAIT_JOBS, Wait, WaitFor, WaitKind};

use crate::field::Field;
use crate::object::{Faults, Path, Shape, read_document};
use crate::problem::FieldError;
use crate::steps;

/// The value of `posthaste-outcome` that makes a 202 a suspension.
pub const OUTCOME: &str = "suspend";
/// The most waits of one suspension.
pub const MAX_WAITS: usize = 32;

const SHAPE: Shape = Shape { known: &["wait", "waits", "need", "steps", "seq"], later: &[] };

/// What a function waits for, and what it has done so far.
#[derive(Debug, Clone)]
pub struct Suspension {
    /// 1 to [`MAX_WAITS`], each with a name of its own.
    pub waits: Vec<Wait>,
    /// How many of the waits wake the function: 1 to all. Default all.
    pub need: usize,
    /// Its steps, a JSON object as it stands, to be merged by name: at most [`steps::MAX_STEPS`] and
    /// [`steps::MAX_STEPS_BYTES`]. `None` changes nothing.
    pub steps: Option<Box<RawValue>>,
    /// What is compared before the steps are set, as in a checkpoint: 0 to 2^31 − 1. `None` compares nothing.
    pub seq: Option<u32>,
}

impl Suspension {
    /// Reads the body of the answer. `Err` holds every fault (at most 100); a text that is not JSON is the single fault
    /// `malformed_json`.
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let mut faults = Faults::default();
        let mut draft = Draft::default();
        read_document(json, SHAPE, &mut faults, |name, field, faults| {
            if !field.is_null() {
                draft.set(name, &field, faults);
            }
        })?;
        if json.trim_ascii_start().starts_with('{') {
            draft.check(&mut faults);
        }
        let Draft { wait, waits, need, steps, seq, .. } = draft;
        let waits: Vec<Wait> = wait.into_iter().chain(waits).collect();
        let need = need.unwrap_or(waits.len());
        faults.or(Some(Self { waits, need, steps, seq }))
    }
}

/// A suspension while it is read.
#[derive(Default)]
struct Draft {
    wait_given: bool,
    waits_given: bool,
    wait: Option<Wait>,
    waits: Vec<Wait>,
    /// How many waits were written, readable or not.
    count: usize,
    need: Option<usize>,
    steps: Option<Box<RawValue>>,
    seq: Option<u32>,
}

impl Draft {
    fn set(&mut self, name: &str, field: &Field, faults: &mut Faults) {
        match name {
            "wait" => {
                self.wait_given = true;
                self.wait = wait::read(field, faults);
            }
            "waits" => {
                self.waits_given = true;
                field.items(MAX_WAITS, faults, |item, faults| {
                    self.count += 1;
                    let wait = wait::read(&item, faults);
                    if wait.as_ref().is_some_and(|wait| self.waits.iter().any(|other| other.name == wait.name)) {
                        let message = "must not have the name of another wait";
                        faults.push(&Path::Field(&item.path, "name"), "duplicate", message);
                    }
                    self.waits.extend(wait);
                });
            }
            "need" => {
                let need = field.integer_in(1, MAX_WAITS as u64, faults);
                self.need = need.and_then(|need| need.try_into().ok());
            }
            "steps" => self.steps = steps::read(field, faults),
            _ => self.seq = steps::read_seq(field, faults),
        }
    }

    fn check(&self, faults: &mut Faults) {
        let path = |name| Path::Field(&Path::Root, name);
        match (self.wait_given, self.waits_given) {
            (false, false) => faults.push(&path("wait"), "required", "is required, unless there are waits"),
            (true, true) => faults.push(&path("waits"), "conflict", "must be left out where there is a wait"),
            (true, false) if self.need.is_some() => {
                faults.push(&path("need"), "conflict", "must be left out where there is one wait");
            }
            (false, true) if self.count == 0 => faults.push(&path("waits"), "required", "must not be empty"),
            (false, true) if self.need.is_some_and(|need| need > self.count) => {
                faults.push(&path("need"), "out_of_range", "must be at most the number of waits");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
