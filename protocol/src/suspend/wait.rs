//! One thing that a suspended function waits for.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::cel::{self, CelSpec};
use crate::field::Field;
use crate::id::JobId;
use crate::inbound::{self, InboundSignature, Literals, SecretSource};
use crate::name::is_name;
use crate::object::{Faults, Path, Shape};
use crate::word::words;

/// The most jobs of one wait.
pub const MAX_WAIT_JOBS: usize = 1000;
/// Thirty days, the longest that anything may take, in milliseconds.
const MAX_MS: u64 = 30 * 86_400_000;

const SHAPE: Shape =
    Shape { known: &["name", "for", "timeout_ms", "until", "jobs", "need", "cel", "signature"], later: &[] };

words! {
    /// What a wait is for, in a word.
    pub enum WaitKind {
        /// Somebody calls back.
        Callback = "callback",
        /// Time passes.
        Timer = "timer",
        /// Other jobs end.
        Jobs = "jobs",
    }
}

/// A named wait. `Serialize` gives the shape that is read.
#[derive(Debug, Clone, Serialize)]
pub struct Wait {
    /// A [name](is_name), which comes back in `resume`.
    pub name: String,
    /// What it waits for.
    #[serde(flatten)]
    pub event: WaitFor,
    /// After how many milliseconds it is over without the event, and the function is woken with `timed_out`: 1 to 30
    /// days. `None` leaves it to the endpoint. For a timer, this is the timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What a wait waits for.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum WaitFor {
    /// A `resume` callback or a hook.
    Callback {
        /// What decides whether a webhook is meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        cel: Option<CelSpec>,
        /// The signature that a hook must have. Its secrets are references, as the document comes from a function; whether
        /// it may name them says [`Wait::names_foreign_secret`].
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<InboundSignature>,
    },
    /// A time.
    Timer {
        /// That time; `None` where the wait's `timeout_ms` says it.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// Other jobs.
    Jobs {
        /// 1 to [`MAX_WAIT_JOBS`], each once.
        jobs: Vec<JobId>,
        /// How many of them: 1 to all. Default all.
        need: usize,
    },
}

impl WaitFor {
    /// The word of `for`.
    pub const fn kind(&self) -> WaitKind {
        match self {
            Self::Callback { .. } => WaitKind::Callback,
            Self::Timer { .. } => WaitKind::Timer,
            Self::Jobs { .. } => WaitKind::Jobs,
        }
    }
}

impl Wait {
    /// Whether its signature names a secret that was not put there for functions: see [`is_for_webhooks`](crate::endpoint::Reference::is_for_webhooks).
    /// Whoever takes a wait from a function refuses it then, lest the function have any variable or file of the gateway read.
    pub fn names_foreign_secret(&self) -> bool {
        let WaitFor::Callback { signature: Some(signature), .. } = &self.event else { return false };
        let foreign = |secret: &SecretSource| match secret {
            SecretSource::Reference(reference) => !reference.is_for_webhooks(),
            SecretSource::Literal(_) => true,
        };
        signature.secrets.iter().any(foreign)
    }
}

/// A wait while it is read.
#[derive(Default)]
struct Draft {
    /// The fields that are there and not null.
    given: BTreeSet<&'static str>,
    name: Option<String>,
    kind: Option<WaitKind>,
    timeout_ms: Option<u64>,
    until: Option<DateTime<Utc>>,
    jobs: Vec<JobId>,
    need: Option<usize>,
    cel: Option<CelSpec>,
    signature: Option<InboundSignature>,
}

/// Reads a wait.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Wait> {
    let before = faults.count();
    if field.is_null() {
        field.fault("wrong_type", "must be an object", faults);
    }
    let mut draft = Draft::default();
    let is_object = field.object(SHAPE, faults, |name, part, faults| {
        if !part.is_null() {
            draft.given.insert(name);
            draft.set(name, &part, faults);
        }
    });
    if !is_object {
        return None;
    }
    for name in ["name", "for"] {
        if !draft.given.contains(name) {
            faults.push(&Path::Field(&field.path, name), "required", "is required");
        }
    }
    let kind = draft.kind?;
    draft.check(kind, field, faults);
    (faults.count() == before).then(|| draft.finish(kind)).flatten()
}

impl Draft {
    fn set(&mut self, name: &str, part: &Field, faults: &mut Faults) {
        match name {
            "name" => self.name = read_name(part, faults),
            "for" => self.kind = part.word(faults),
            "timeout_ms" => self.timeout_ms = part.integer_in(1, MAX_MS, faults),
            "until" => self.until = part.time(faults),
            "jobs" => self.jobs = read_jobs(part, faults),
            "need" => {
                let need = part.integer_in(1, MAX_WAIT_JOBS as u64, faults);
                self.need = need.and_then(|need| need.try_into().ok());
            }
            "cel" => self.cel = cel::read(part, faults),
            _ => self.signature = inbound::read(part, Literals::Refused, faults),
        }
    }

    /// Names what this kind of wait lacks, and what belongs to another.
    fn check(&self, kind: WaitKind, field: &Field, faults: &mut Faults) {
        let own: &[&str] = match kind {
            WaitKind::Callback => &["cel", "signature"],
            WaitKind::Timer => &["until"],
            WaitKind::Jobs => &["jobs", "need"],
        };
        for name in
            self.given.iter().filter(|name| !["name", "for", "timeout_ms"].contains(name) && !own.contains(name))
        {
            let message = format!("must be left out: it does not belong to a wait for {kind}");
            faults.push(&Path::Field(&field.path, name), "conflict", message);
        }
        let given = |name| self.given.contains(name);
        match kind {
            WaitKind::Timer if given("until") == given("timeout_ms") => {
                let message = "a timer needs either until or timeout_ms";
                faults.push(&Path::Field(&field.path, "until"), "required", message);
            }
            WaitKind::Jobs if !given("jobs") => {
                faults.push(&Path::Field(&field.path, "jobs"), "required", "is required for jobs");
            }
            WaitKind::Jobs if self.need.is_some_and(|need| need > self.jobs.len()) => {
                faults.push(&Path::Field(&field.path, "need"), "out_of_range", "must be at most the number of jobs");
            }
            _ => {}
        }
    }

    fn finish(self, kind: WaitKind) -> Option<Wait> {
        let event = match kind {
            WaitKind::Callback => WaitFor::Callback { cel: self.cel, signature: self.signature },
            WaitKind::Timer => WaitFor::Timer { until: self.until },
            WaitKind::Jobs => WaitFor::Jobs { need: self.need.unwrap_or(self.jobs.len()), jobs: self.jobs },
        };
        Some(Wait { name: self.name?, event, timeout_ms: self.timeout_ms })
    }
}

fn read_name(field: &Field, faults: &mut Faults) -> Option<String> {
    let name = field.text(faults)?;
    if !is_name(&name) {
        let message = "must be 1 to 200 letters, digits and _ - . : /, the first a letter or digit";
        field.fault("invalid_name", message, faults);
        return None;
    }
    Some(name)
}

fn read_jobs(field: &Field, faults: &mut Faults) -> Vec<JobId> {
    let mut jobs = Vec::new();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let in_bounds = field.items(MAX_WAIT_JOBS, faults, |item, faults| {
        count += 1;
        let Some(text) = item.some_text(faults) else { return };
        match text.parse::<JobId>() {
            Ok(id) if seen.insert(id) => jobs.push(id),
            Ok(_) => item.fault("duplicate", "is given more than once", faults),
            Err(error) => item.fault("wrong_format", error.to_string(), faults),
        }
    });
    if in_bounds && count == 0 {
        field.fault("required", "must not be empty", faults);
    }
    jobs
}
