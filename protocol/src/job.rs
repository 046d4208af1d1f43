//! Jobs and their attempts as read: the answer of `GET /v1/jobs/{id}` and of `posthaste job get --json`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::JobId;
use crate::word::words;

words! {
    /// Where a job stands.
    pub enum State {
        /// Waits for its parents or its key.
        Blocked = "blocked",
        /// Waits for a time.
        Scheduled = "scheduled",
        /// May be claimed.
        Available = "available",
        /// Claimed by a dispatcher.
        Running = "running",
        /// Accepted by its function, which will call back.
        Waiting = "waiting",
        /// Ended well.
        Completed = "completed",
        /// Ended by request.
        Cancelled = "cancelled",
        /// Gave up; a dead letter until it is redriven.
        Dead = "dead",
    }
}

impl State {
    /// Whether the job has ended: `completed`, `cancelled` or `dead`.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Dead)
    }
}

words! {
    /// What a run came to.
    pub enum AttemptOutcome {
        /// The job is done.
        Completed = "completed",
        /// Failed; tried again.
        Retried = "retried",
        /// The endpoint was overloaded; asked again later, no attempt used.
        Throttled = "throttled",
        /// The function asked to be asked again later, no attempt used.
        Snoozed = "snoozed",
        /// Waits for something, to be POSTed again.
        Suspended = "suspended",
        /// The job was cancelled.
        Cancelled = "cancelled",
        /// The job gave up.
        Dead = "dead",
        /// Handed back before it was POSTed, no attempt used.
        Released = "released",
        /// Its dispatcher was lost.
        Rescued = "rescued",
        /// No sign of life in time.
        TimedOut = "timed_out",
    }
}

words! {
    /// What is known of the POST.
    pub enum AttemptClass {
        /// The function answered.
        Responded = "responded",
        /// The request never reached it.
        NotSent = "not_sent",
        /// It may or may not have run.
        Unknown = "unknown",
    }
}

/// A job in two words: the answer to an enqueue or a cancel, and what a 409 is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRef {
    /// The job.
    pub id: JobId,
    /// Where it stands.
    pub state: State,
}

/// Why a job or a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Stable: `http_500`, `unreachable`, or the function's own.
    pub code: String,
    /// For a human; capped and cleaned.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A job as read. Times are RFC 3339 UTC with `Z`, to the microsecond; JSON values are as they were written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it is.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// The endpoint it names, if it names one.
    pub endpoint: Option<String>,
    /// Where it stands.
    pub state: State,
    /// 1 (first) to 4 (last).
    pub priority: i32,
    /// The attempt now or last made; 0 before the first dispatch. Throttles and snoozes do not count.
    pub attempt: i32,
    /// How many may fail.
    pub max_attempts: i32,
    /// The fencing number of the newest run; 0 before the first.
    pub run_lease: i64,
    /// The function's input.
    pub args: Box<RawValue>,
    /// The function's answer, once completed.
    pub result: Option<Box<RawValue>>,
    /// The last failure.
    pub error: Option<JobError>,
    /// `{percent, message, metadata, at}` as the function last reported it.
    pub progress: Option<Box<RawValue>>,
    /// Labels.
    pub tags: Vec<String>,
    /// The producer's own notes: a JSON object.
    pub metadata: Box<RawValue>,
    /// Not before this time.
    pub run_at: DateTime<Utc>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The newest 50 ended runs, newest first; empty in lists.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// An ended run of a job, as read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// The run's fencing number.
    pub run_lease: i64,
    /// The attempt it belonged to, from 1.
    pub attempt: i32,
    /// What it came to.
    pub outcome: AttemptOutcome,
    /// What is known of the POST; none where there was none to make.
    pub class: Option<AttemptClass>,
    /// The status the function answered with.
    pub http_status: Option<u16>,
    /// When it was claimed; none where it ended unclaimed, as by a cancel.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// A JSON object of milliseconds by phase.
    pub timings_ms: Box<RawValue>,
    /// Why it failed.
    pub error: Option<JobError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"{"id":"42","kind":"generate_pdf","queue":"default","endpoint":null,"state":"dead","priority":2,"attempt":1,"max_attempts":25,"run_lease":3,"args":{"b" : 1},"result":null,"error":{"code":"http_422","message":"no","at":"2026-11-21T08:00:01.500Z"},"progress":null,"tags":["a"],"metadata":{},"run_at":"2026-11-21T08:00:00Z","created_at":"2026-11-21T08:00:00.000001Z","finished_at":"2026-11-21T08:00:01.500Z","attempts":[{"run_lease":3,"attempt":1,"outcome":"dead","class":"responded","http_status":422,"started_at":"2026-11-21T08:00:00Z","finished_at":"2026-11-21T08:00:01.500Z","timings_ms":{"total":1500},"error":null}]}"#;

    #[test]
    fn a_job_as_read_keeps_its_shape_and_its_bytes() {
        let job: Job = serde_json::from_str(JOB).unwrap();
        assert_eq!(job.state, State::Dead);
        assert_eq!(job.attempts[0].http_status, Some(422));
        assert_eq!(serde_json::to_string(&job).unwrap(), JOB);
    }

    #[test]
    fn words_come_back_as_they_went() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert_eq!(State::WORDS.len(), 8);
        assert_eq!("timed_out".parse(), Ok(AttemptOutcome::TimedOut));
        assert_eq!("not_sent".parse(), Ok(AttemptClass::NotSent));
        let error = "Dead".parse::<AttemptClass>().unwrap_err();
        assert_eq!(error.to_string(), "must be one of responded, not_sent, unknown");
        assert!(serde_json::from_str::<State>("\"gone\"").is_err());
    }

    #[test]
    fn three_states_are_ends() {
        let ends: Vec<_> = State::ALL.iter().filter(|state| state.is_terminal()).collect();
        assert_eq!(ends, [&State::Completed, &State::Cancelled, &State::Dead]);
    }
}
