//! Checkpoint: what a function has done so far, stored while its run goes on, for its next run.
//!
//! Steps are merged by name and kept exactly as given, over retries and resumes. `seq` counts how often they were stored,
//! from 0 for never. A checkpoint names the `seq` that its sender knows; it is kept if that still is the stored one, which
//! it makes one more. So of two that know the same, one is told that it is late, and what it missed.

use std::collections::HashMap;

use posthaste_protocol::steps::MAX_STEPS_BYTES;
use serde_json::value::RawValue;
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{EngineError, held::RunRef};

/// How often a checkpoint is tried that another one overtook.
const TURNS: usize = 3;

/// Steps to store.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The run that its token names.
    pub run: RunRef,
    /// What must be stored; `None`: whatever is.
    pub seq: Option<u32>,
    /// A JSON object by name of step.
    pub steps: Box<RawValue>,
}

/// What a checkpoint is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpointed {
    /// Stored; or this very checkpoint had been, as the last one.
    Kept {
        /// What the next checkpoint must name: one more than this one named.
        seq: u32,
        /// The run is parked; else it is running.
        waits: bool,
        /// The function is asked to end.
        cancel_requested: bool,
    },
    /// Others were stored first: nothing of it was.
    Conflict {
        /// What is stored.
        seq: u32,
        /// The steps that are, a JSON object; none where others were stored each time that this one was tried.
        steps: String,
        /// The run is parked; else it is running.
        waits: bool,
    },
    /// Together with those that are stored, its steps are more than [`MAX_STEPS_BYTES`]: nothing of it was stored.
    TooLarge,
    /// The run does not go on: ask [`crate::callback::lost`] why.
    Over,
}

/// Stores the steps of these runs; tells what became of each, in order. At most one per job.
pub async fn checkpoint(
    connection: &mut PgConnection,
    checkpoints: &[Checkpoint],
) -> Result<Vec<Checkpointed>, EngineError> {
    let mut told: Vec<Option<Checkpointed>> = vec![None; checkpoints.len()];
    for turn in 1..=TURNS {
        let mut open: Vec<usize> = (0..checkpoints.len()).filter(|&n| told[n].is_none()).collect();
        if open.is_empty() {
            break;
        }
        // Sorted: two batches that meet take their rows in one order.
        open.sort_unstable_by_key(|&n| checkpoints[n].run.job_id);
        let batch: Vec<&Checkpoint> = open.iter().map(|&n| &checkpoints[n]).collect();
        let mut rows = execute(connection, &batch).await?;
        for n in open {
            told[n] = match rows.remove(&checkpoints[n].run.job_id) {
                Some(found) => found.judge(&checkpoints[n], turn == TURNS),
                None => Some(Checkpointed::Over),
            };
        }
    }
    Ok(told.into_iter().map(|told| told.unwrap_or(Checkpointed::Over)).collect())
}

async fn execute(
    connection: &mut PgConnection,
    checkpoints: &[&Checkpoint],
) -> Result<HashMap<i64, Found>, EngineError> {
    let rows = sqlx::query("select * from posthaste.checkpoint_v1($1, $2, $3, $4, $5, $6, $7)")
        .bind(checkpoints.iter().map(|one| one.run.job_id).collect::<Vec<_>>())
        .bind(checkpoints.iter().map(|one| one.run.run_lease).collect::<Vec<_>>())
        .bind(checkpoints.iter().map(|one| one.run.lease.lease_id).collect::<Vec<_>>())
        .bind(checkpoints.iter().map(|one| one.run.lease.nonce).collect::<Vec<_>>())
        .bind(checkpoints.iter().map(|one| one.seq.map(i64::from)).collect::<Vec<_>>())
        .bind(checkpoints.iter().map(|one| one.steps.get()).collect::<Vec<_>>())
        .bind(i32::try_from(MAX_STEPS_BYTES).unwrap_or(i32::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("job_id")?, Found::read(row)?))).collect()
}

/// A run that goes on, and what was stored before.
struct Found {
    /// `kept`, `conflict`, `too_large` or `overtaken`: another one was stored since the statement began to look.
    verdict: String,
    seq: u32,
    /// The steps; only of a conflict.
    steps: Option<String>,
    waits: bool,
    cancel_requested: bool,
}

impl Found {
    fn read(row: &PgRow) -> Result<Self, EngineError> {
        Ok(Self {
            verdict: row.try_get("verdict")?,
            seq: u32::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(u32::MAX),
            steps: row.try_get("steps")?,
            waits: row.try_get("waits")?,
            cancel_requested: row.try_get("cancel_requested")?,
        })
    }

    /// `None`: to be tried again, unless this was the last time.
    fn judge(self, given: &Checkpoint, last_turn: bool) -> Option<Checkpointed> {
        let kept = |seq| Checkpointed::Kept { seq, waits: self.waits, cancel_requested: self.cancel_requested };
        match self.verdict.as_str() {
            "kept" => Some(kept(self.seq.saturating_add(1))),
            "too_large" => Some(Checkpointed::TooLarge),
            "conflict" => {
                let steps = self.steps.unwrap_or_else(|| "{}".to_owned());
                let last = given.seq.and_then(|seq| seq.checked_add(1)) == Some(self.seq);
                if last && holds(&steps, given.steps.get()) {
                    return Some(kept(self.seq));
                }
                Some(Checkpointed::Conflict { seq: self.seq, steps, waits: self.waits })
            }
            // Whoever was faster each time has stored one more, at least.
            _ if last_turn => Some(Checkpointed::Conflict {
                seq: self.seq.saturating_add(1),
                steps: "{}".to_owned(),
                waits: self.waits,
            }),
            _ => None,
        }
    }
}

/// Whether the stored steps hold each of these, to the letter: then a checkpoint whose answer was lost came again.
fn holds(stored: &str, given: &str) -> bool {
    type Named<'a> = HashMap<std::borrow::Cow<'a, str>, &'a RawValue>;
    let read = |steps| serde_json::from_str::<Named>(steps).ok();
    let Some((stored, given)) = read(stored).zip(read(given)) else { return false };
    given.iter().all(|(name, value)| stored.get(name).is_some_and(|old| old.get() == value.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_comes_again_finds_itself_to_the_letter() {
        let stored = r#"{"a":{"n" : 1},"b":2,"\u00e9":3}"#;
        assert!(holds(stored, r#"{ "a" : {"n" : 1}, "é": 3 }"#));
        assert!(holds(stored, "{}"));
        assert!(!holds(stored, r#"{"a": {"n": 1}}"#));
        assert!(!holds(stored, r#"{"c": 1}"#));
    }
}
