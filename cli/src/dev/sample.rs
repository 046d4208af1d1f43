//! The samples: one job for each kind of answer that a function can give, and how it must end.

use posthaste_protocol::job::State;
use serde_json::{Value, json};

/// One sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its kind, after `sample.`.
    pub name: &'static str,
    /// What its function does.
    pub shows: &'static str,
    /// How it must end.
    pub ends: State,
}

const fn sample(name: &'static str, shows: &'static str, ends: State) -> Sample {
    Sample { name, shows, ends }
}

/// A batch of samples.
pub const SAMPLES: [Sample; 12] = [
    sample("hello", "200 and a result", State::Completed),
    sample("slow", "200 after a while", State::Completed),
    sample("flaky", "500, then 200: retried, one attempt used", State::Completed),
    sample("hello", "200 and a result", State::Completed),
    sample("busy", "429 with retry-after, then 200: throttled, no attempt used", State::Completed),
    sample("snooze", "200 with posthaste-outcome: snooze, then 200: no attempt used", State::Completed),
    sample("empty", "204: completed, no result", State::Completed),
    sample("text", "200 and text: the result is a string", State::Completed),
    sample("fail", "400: given up, a dead letter", State::Dead),
    sample("giveup", "200 with posthaste-outcome: fail, and a code of its own", State::Dead),
    sample("cancel", "200 with posthaste-outcome: cancel", State::Cancelled),
    sample("hello", "200 and a result", State::Completed),
];

impl Sample {
    /// Its kind.
    pub fn kind(&self) -> String {
        format!("sample.{}", self.name)
    }

    /// The job to enqueue; `n` counts within the batch.
    pub fn job(&self, n: usize) -> Value {
        let names = ["Ada", "Grace", "Edsger", "Barbara", "Alan", "Radia"];
        let name = names[n % names.len()];
        json!({"kind": self.kind(), "args": {"name": name, "n": n}, "tags": ["sample"], "max_attempts": 5})
    }
}

/// Every kind, once.
pub fn kinds() -> Vec<String> {
    let mut kinds: Vec<String> = SAMPLES.iter().map(Sample::kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}
