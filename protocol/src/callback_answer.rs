//! What the gateway answers to a callback that is not a problem.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::job::JobRef;
use crate::word::words;

words! {
    /// What became of a callback.
    pub enum CallbackOutcome {
        /// Done, and committed.
        Applied = "applied",
        /// The same action and body came before for this run: the recorded answer.
        Duplicate = "duplicate",
        /// The filter said no.
        Ignored = "ignored",
        /// It came before its wait was known; kept, and tried when the wait appears.
        Buffered = "buffered",
        /// The filter could not be evaluated; kept, and can be replayed.
        Quarantined = "quarantined",
    }
}

impl CallbackOutcome {
    /// The HTTP status: 200 for what is settled, 202 for what is kept.
    pub const fn status(self) -> u16 {
        match self {
            Self::Applied | Self::Duplicate | Self::Ignored => 200,
            Self::Buffered | Self::Quarantined => 202,
        }
    }
}

/// The answer to a callback: a JSON object without the members that are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackAnswer {
    /// What became of it.
    pub outcome: CallbackOutcome,
    /// The job as the callback left it: for what was applied, now or before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobRef>,
    /// Until when the function must call again: for a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
    /// Whether the function is asked to end: for a heartbeat and a progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested: Option<bool>,
    /// What the next checkpoint must name: for a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u32>,
}

impl CallbackAnswer {
    /// Done: the job is now so.
    pub const fn applied(job: JobRef) -> Self {
        Self { job: Some(job), ..Self::of(CallbackOutcome::Applied) }
    }

    /// Done before: the job was then so.
    pub const fn duplicate(job: JobRef) -> Self {
        Self { job: Some(job), ..Self::of(CallbackOutcome::Duplicate) }
    }

    /// An outcome that says nothing of the job: ignored, buffered, quarantined.
    pub const fn of(outcome: CallbackOutcome) -> Self {
        Self { outcome, job: None, deadline: None, cancel_requested: None, seq: None }
    }

    /// The same answer, saying whether the function is asked to end.
    #[must_use]
    pub const fn with_cancel_requested(mut self, requested: bool) -> Self {
        self.cancel_requested = Some(requested);
        self
    }

    /// The same answer, saying what the next checkpoint must name.
    #[must_use]
    pub const fn with_seq(mut self, seq: u32) -> Self {
        self.seq = Some(seq);
        self
    }

    /// The same answer, saying until when the function must call again.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: DateTime<Utc>) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;
    use crate::job::State;

    #[test]
    fn an_answer_has_the_documented_shape_and_comes_back() {
        let job = JobRef { id: JobId(42), state: State::Waiting };
        let deadline = "2026-11-21T09:00:00Z".parse().unwrap();
        let heartbeat = CallbackAnswer::applied(job).with_deadline(deadline).with_cancel_requested(true);
        for (answer, json) in [
            (CallbackAnswer::applied(job), r#"{"outcome":"applied","job":{"id":"42","state":"waiting"}}"#),
            (CallbackAnswer::duplicate(job), r#"{"outcome":"duplicate","job":{"id":"42","state":"waiting"}}"#),
            (CallbackAnswer::of(CallbackOutcome::Ignored), r#"{"outcome":"ignored"}"#),
            (
                heartbeat,
                r#"{"outcome":"applied","job":{"id":"42","state":"waiting"},"deadline":"2026-11-21T09:00:00Z","cancel_requested":true}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&answer).unwrap(), json);
            assert_eq!(serde_json::from_str::<CallbackAnswer>(json).unwrap(), answer);
        }
    }

    #[test]
    fn what_is_only_kept_is_a_202() {
        let statuses: Vec<_> = CallbackOutcome::ALL.iter().map(|outcome| outcome.status()).collect();
        assert_eq!(statuses, [200, 200, 200, 202, 202]);
    }
}
