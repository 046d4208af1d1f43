//! Committing jobs: one statement for a batch, halved when one of its jobs spoils it.

use std::ops::Range;

use posthaste_engine::{
    EngineError,
    enqueue::{self, Enqueued},
    session::{CALL_DEADLINE, within},
};
use posthaste_protocol::problem::{Code, FieldError, Problem};
use sqlx::PgConnection;

use crate::{
    error::{ApiError, faults_problem},
    job_text::array_text,
};

/// The largest text of one statement.
const MAX_STATEMENT_BYTES: usize = 24 * 1024 * 1024;

/// What became of one job: written and committed, or the problem that says why not.
pub type Answer = Result<Written, Problem>;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Committed {
    /// One answer a job, in order.
    pub answers: Vec<Answer>,
    /// Whether the connection broke on the way and must not be used again.
    pub broken: bool,
}

/// A job that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub id: i64,
    /// `available` or `scheduled`.
    pub state: String,
}

/// Commits jobs (each the text of [`crate::job_text::job_text`]), the sound ones together, and answers in order.
///
/// Only where a job spoils the statement itself is the batch halved, until that one stands alone.
pub async fn commit(connection: &mut PgConnection, jobs: &[&str]) -> Committed {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut broken = false;
    // Popped from the end: later parts lie deeper, so that answers come in order.
    let mut parts: Vec<Range<usize>> = statements(jobs);
    parts.reverse();
    while let Some(part) = parts.pop() {
        let text = array_text(jobs[part.clone()].iter().copied());
        match within(CALL_DEADLINE, enqueue::enqueue_batch(&mut *connection, &text)).await {
            Ok(rows) if rows.len() == part.len() => answers.extend(rows.into_iter().map(answer)),
            Ok(_) => answers.extend(part.map(|_| Err(ApiError::internal().problem()))),
            Err(error) if error.is_divisible() && part.len() > 1 => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
            Err(error) => {
                broken |= error.is_unavailable();
                let problem = refusal(error);
                answers.extend(part.map(|_| Err(problem.clone())));
            }
        }
    }
    Committed { answers, broken }
}

/// The parts that go into one statement each: all of it, unless it is very large.
fn statements(jobs: &[&str]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (n, job) in jobs.iter().enumerate() {
        if bytes + job.len() > MAX_STATEMENT_BYTES && n > start {
            parts.push(start..n);
            (start, bytes) = (n, 0);
        }
        bytes += job.len();
    }
    if start < jobs.len() {
        parts.push(start..jobs.len());
    }
    parts
}

fn answer(row: Enqueued) -> Answer {
    match row {
        Enqueued::Job { id, state } => Ok(Written { id, state }),
        Enqueued::Faults(faults) => Err(faults_problem(faults)),
    }
}

/// Why a job, or all jobs of a statement, were not written.
fn refusal(error: EngineError) -> Problem {
    match error {
        EngineError::Refused { code, .. } if code.starts_with("22") => Problem::invalid(vec![FieldError::new(
            "",
            "invalid_value",
            "the job holds a value that Postgres cannot store",
        )]),
        error => ApiError::engine(error, Code::NotFound).problem(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_one_statement_until_it_is_very_large() {
        assert!(statements(&[]).is_empty());
        assert_eq!(statements(&vec!["1"; 10_000]), std::slice::from_ref(&(0..10_000)));
        let large = "x".repeat(MAX_STATEMENT_BYTES / 2);
        let parts = statements(&[&large, &large, &large, "1"]);
        assert_eq!(parts, [0..2, 2..4]);
    }
}
