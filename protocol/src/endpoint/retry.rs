//! When a failed job is tried again.

use serde::Serialize;

use crate::field::Field;
use crate::object::{Faults, Path, Shape};
use crate::word::words;

/// A day, the longest delay.
const MAX_DELAY_MS: u64 = 86_400_000;
/// The most entries of a list.
const MAX_DELAYS: usize = 100;

words! {
    /// How the delay grows with each failure.
    pub enum RetryPolicy {
        /// Doubles: `base_ms`, 2 × `base_ms`, 4 × `base_ms`, …
        Exponential = "exponential",
        /// Grows by `base_ms`.
        Linear = "linear",
        /// Always `base_ms`.
        Constant = "constant",
        /// The entries of `delays_ms`, then its last one.
        List = "list",
    }
}

/// A retry policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retry {
    /// Default `exponential`.
    pub policy: RetryPolicy,
    /// The first delay in milliseconds: 1 to 86,400,000. Default 1,000.
    pub base_ms: u64,
    /// The longest delay in milliseconds: `base_ms` to 86,400,000, the default.
    pub max_ms: u64,
    /// How much is added at random, as a share of the delay: 0 to 1. Default 0.25.
    pub jitter: f64,
    /// The delays of `list`, 1 to 100 of them, each 0 to 86,400,000 milliseconds; empty for the other policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delays_ms: Vec<u64>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            policy: RetryPolicy::Exponential,
            base_ms: 1000,
            max_ms: MAX_DELAY_MS,
            jitter: 0.25,
            delays_ms: Vec::new(),
        }
    }
}

/// Reads a policy, which may be partial.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Retry> {
    let mut retry = Retry::default();
    let before = faults.count();
    let shape = Shape { known: &["policy", "base_ms", "max_ms", "jitter", "delays_ms"], later: &[] };
    let is_object = field.object(shape, faults, |name, part, faults| match name {
        "policy" => retry.policy = part.word(faults).unwrap_or(retry.policy),
        "base_ms" => {
            retry.base_ms = part.integer_in(1, MAX_DELAY_MS, faults).unwrap_or(retry.base_ms);
        }
        "max_ms" => {
            retry.max_ms = part.integer_in(1, MAX_DELAY_MS, faults).unwrap_or(retry.max_ms);
        }
        "delays_ms" => {
            part.items(MAX_DELAYS, faults, |delay, faults| {
                if delay.is_null() {
                    delay.fault("wrong_type", "must be an integer", faults);
                }
                retry.delays_ms.extend(delay.integer_in(0, MAX_DELAY_MS, faults));
            });
        }
        _ => match part.number(faults) {
            Some(jitter) if (0.0..=1.0).contains(&jitter) => retry.jitter = jitter,
            Some(_) => part.fault("out_of_range", "must be from 0 to 1", faults),
            None => {}
        },
    });
    if !is_object {
        return None;
    }
    // What the parts mean together can be judged only where each is right.
    if faults.count() == before {
        check_together(&retry, &field.path, faults);
    }
    Some(retry)
}

fn check_together(retry: &Retry, path: &Path, faults: &mut Faults) {
    if retry.max_ms < retry.base_ms {
        faults.push(&Path::Field(path, "max_ms"), "out_of_range", "must be at least base_ms");
    }
    let delays = Path::Field(path, "delays_ms");
    match (retry.policy == RetryPolicy::List, retry.delays_ms.is_empty()) {
        (true, true) => faults.push(&delays, "required", "is required, with 1 to 100 entries, for list"),
        (false, false) => faults.push(&delays, "conflict", "is for the policy list only"),
        _ => {}
    }
}
