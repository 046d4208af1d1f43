//! Suspend: runs whose function answered that it waits for something, and wants to be POSTed again when it has come.

use std::{collections::HashMap, time::Duration};

use posthaste_protocol::suspend::{Suspension, Wait, WaitFor};
use sqlx::{Connection, PgConnection, Row};

use crate::{
    EngineError,
    checkpoint::{Checkpoint, Checkpointed, checkpoint},
    held::HeldRun,
    lifecycle::wait::WaitTimes,
    park::{Park, Parked, park},
    sweep::millis,
    wake::{Clock, LOOK_MAX, look_at},
};

/// One run to suspend.
#[derive(Debug, Clone)]
pub struct Suspend {
    /// The run, with the answer that suspends it.
    pub run: HeldRun,
    /// What its function waits for, and what it has done.
    pub suspension: Suspension,
    /// Since the claim; the run ends then as `run_timeout`, whatever it waits for. At most 30 days.
    pub max_run: Duration,
    /// For callback and jobs waits that say no time-out of their own: the endpoint's. At most 30 days.
    pub default_timeout: Duration,
}

/// What became of a suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspended {
    /// The run waits, durably, or has been woken already.
    Waits,
    /// The run has ended: somebody else ended it. Nothing is left to do.
    Ended,
    /// Neither the lease, nor a wait, nor an end of the run exists.
    Refused,
    /// Its `seq` is not the one of the steps that are stored. Nothing was written: the attempt has failed.
    StepsConflict {
        /// The stored one.
        seq: u32,
    },
    /// With its steps, those of the job are too large. Nothing was written: the attempt has failed.
    StepsTooLarge,
}

/// Suspends runs in one transaction, then looks once whether what they wait for has come; tells what became of each, in
/// order. At most one per job. `drained` names leases whose last runs these are; the lease of a run whose steps were
/// refused stays. Can be issued again when the answer of its commit was lost.
pub async fn suspend(
    connection: &mut PgConnection,
    suspends: &[Suspend],
    drained: &[i64],
) -> Result<Vec<Suspended>, EngineError> {
    let mut told: Vec<Option<Suspended>> = vec![None; suspends.len()];
    // Each turn but the last finds a run whose steps are refused.
    loop {
        let open: Vec<usize> = (0..suspends.len()).filter(|&n| told[n].is_none()).collect();
        let refused: Vec<i64> = suspends.iter().zip(&told).filter(|(_, told)| told.is_some()).map(lease_of).collect();
        let drained: Vec<i64> = drained.iter().copied().filter(|lease| !refused.contains(lease)).collect();
        let mut tx = connection.begin().await?;
        let attempted = write(&mut tx, suspends, &open, &drained).await?;
        let faults = attempted
            .iter()
            .any(|(_, what)| matches!(what, Suspended::StepsConflict { .. } | Suspended::StepsTooLarge));
        if faults {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        for (n, what) in attempted {
            let refused = matches!(what, Suspended::StepsConflict { .. } | Suspended::StepsTooLarge);
            if refused || !faults {
                told[n] = Some(what);
            }
        }
        if !faults {
            break;
        }
    }
    let told: Vec<Suspended> = told.into_iter().map(|told| told.unwrap_or(Suspended::Refused)).collect();
    let waits = suspends.iter().zip(&told).filter(|(_, told)| **told == Suspended::Waits).map(|(suspend, _)| suspend);
    match look_at(connection, &first_look(waits), Clock::At(None)).await {
        // The runs are due at once: the sweep looks at them.
        Err(error) if !error.is_divisible() => Err(error),
        _ => Ok(told),
    }
}

/// Those that are looked at at once: while they wait for no more than [`LOOK_MAX`] jobs in all. The sweep looks at the others.
fn first_look<'a>(suspends: impl Iterator<Item = &'a Suspend>) -> Vec<i64> {
    let mut others = 0;
    let fits = suspends.filter(|suspend| {
        let with = others + suspend.others();
        let fits = with <= LOOK_MAX;
        if fits {
            others = with;
        }
        fits
    });
    fits.map(|suspend| suspend.run.run.job_id).collect()
}

fn lease_of((suspend, _): (&Suspend, &Option<Suspended>)) -> i64 {
    suspend.run.run.lease.lease_id
}

/// Parks these runs, writes their waits and merges their steps. A run that was suspended before is left as it is.
async fn write(
    tx: &mut PgConnection,
    suspends: &[Suspend],
    open: &[usize],
    drained: &[i64],
) -> Result<Vec<(usize, Suspended)>, EngineError> {
    let parks: Vec<Park> = open.iter().map(|&n| suspends[n].park()).collect();
    let parked = park(tx, &parks, drained).await?;
    let mut told: Vec<(usize, Suspended)> = open.iter().copied().zip(parked.iter().map(of_park)).collect();
    let waiting: Vec<&Suspend> =
        told.iter().filter(|(_, what)| *what == Suspended::Waits).map(|(n, _)| &suspends[*n]).collect();
    let new = insert(tx, &waiting).await?;
    let refused = merge(tx, waiting.into_iter().filter(|suspend| new.contains(&suspend.run.run.job_id))).await?;
    for (n, what) in &mut told {
        if let Some(refused) = refused.get(&suspends[*n].run.run.job_id) {
            *what = *refused;
        }
    }
    Ok(told)
}

fn of_park(parked: &Parked) -> Suspended {
    match parked {
        Parked::Waits { .. } => Suspended::Waits,
        Parked::Ended => Suspended::Ended,
        Parked::Refused => Suspended::Refused,
    }
}

impl Suspend {
    fn park(&self) -> Park {
        let times = WaitTimes::of_suspension(self.default_timeout, self.max_run);
        Park { run: self.run.clone(), times }
    }

    fn steps(&self) -> Option<Checkpoint> {
        let Suspension { seq, steps, .. } = &self.suspension;
        Some(Checkpoint { run: self.run.run, seq: *seq, steps: steps.clone()? })
    }

    /// How many jobs it waits for.
    fn others(&self) -> usize {
        let jobs = self.suspension.waits.iter().map(|wait| match &wait.event {
            WaitFor::Jobs { jobs, .. } => jobs.len(),
            _ => 0,
        });
        jobs.sum()
    }

    fn timeout(&self, wait: &Wait) -> Option<i64> {
        let given = wait.timeout_ms.map(Duration::from_millis);
        match wait.event {
            WaitFor::Timer { until: Some(_) } => None,
            _ => Some(millis(given.unwrap_or(WaitTimes::of_suspension(self.default_timeout, self.max_run).callback))),
        }
    }
}

/// Makes parked runs suspended ones. Returns the jobs of those that were not.
async fn insert(tx: &mut PgConnection, suspends: &[&Suspend]) -> Result<Vec<i64>, EngineError> {
    if suspends.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted = suspends.to_vec();
    sorted.sort_unstable_by_key(|suspend| suspend.run.run.job_id);
    let waits = Columns::of(&sorted)?;
    let rows = sqlx::query(include_str!("sql/suspend.sql"))
        .bind(sorted.iter().map(|suspend| suspend.run.run.job_id).collect::<Vec<_>>())
        .bind(sorted.iter().map(|suspend| suspend.run.run.run_lease).collect::<Vec<_>>())
        .bind(sorted.iter().map(|suspend| count(suspend.suspension.need)).collect::<Vec<_>>())
        .bind(waits.job_ids)
        .bind(waits.numbers)
        .bind(waits.kinds)
        .bind(waits.names)
        .bind(waits.timeouts_ms)
        .bind(waits.untils)
        .bind(waits.jobs)
        .bind(waits.needs)
        .bind(waits.cels)
        .bind(waits.signatures)
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("job_id")?)).collect()
}

/// Merges the steps of these runs; tells those whose steps were refused.
async fn merge(
    tx: &mut PgConnection,
    suspends: impl Iterator<Item = &Suspend>,
) -> Result<HashMap<i64, Suspended>, EngineError> {
    let steps: Vec<Checkpoint> = suspends.filter_map(Suspend::steps).collect();
    let told = checkpoint(tx, &steps).await?;
    let refused = steps.iter().zip(told).filter_map(|(steps, told)| {
        let what = match told {
            Checkpointed::Kept { .. } => return None,
            Checkpointed::Conflict { seq, .. } => Suspended::StepsConflict { seq },
            Checkpointed::TooLarge => Suspended::StepsTooLarge,
            // It has ended since it was parked; its row is hidden, and goes with its deadline.
            Checkpointed::Over => Suspended::Ended,
        };
        Some((steps.run.job_id, what))
    });
    Ok(refused.collect())
}

/// The waits of all runs, as parallel arrays.
#[derive(Default)]
struct Columns<'a> {
    job_ids: Vec<i64>,
    numbers: Vec<i16>,
    kinds: Vec<&'static str>,
    names: Vec<&'a str>,
    timeouts_ms: Vec<Option<i64>>,
    untils: Vec<Option<chrono::DateTime<chrono::Utc>>>,
    /// Arrays of arrays must be rectangular in Postgres: each is the text of one.
    jobs: Vec<Option<String>>,
    needs: Vec<Option<i16>>,
    cels: Vec<Option<String>>,
    signatures: Vec<Option<String>>,
}

impl<'a> Columns<'a> {
    fn of(suspends: &[&'a Suspend]) -> Result<Self, EngineError> {
        let mut columns = Self::default();
        for suspend in suspends {
            for (n, wait) in suspend.suspension.waits.iter().enumerate() {
                columns.push(suspend, count(n + 1), wait)?;
            }
        }
        Ok(columns)
    }

    fn push(&mut self, suspend: &Suspend, n: i16, wait: &'a Wait) -> Result<(), EngineError> {
        let (mut until, mut jobs, mut need, mut cel, mut signature) = (None, None, None, None, None);
        match &wait.event {
            WaitFor::Callback { cel: spec, signature: scheme } => {
                cel = spec.as_ref().map(json).transpose()?;
                signature = scheme.as_ref().map(json).transpose()?;
            }
            WaitFor::Timer { until: at } => until = *at,
            WaitFor::Jobs { jobs: ids, need: of_them } => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                jobs = Some(format!("{{{}}}", ids.join(",")));
                need = Some(count(*of_them));
            }
        }
        self.job_ids.push(suspend.run.run.job_id);
        self.numbers.push(n);
        self.kinds.push(wait.event.kind().as_str());
        self.names.push(&wait.name);
        self.timeouts_ms.push(suspend.timeout(wait));
        self.untils.push(until);
        self.jobs.push(jobs);
        self.needs.push(need);
        self.cels.push(cel);
        self.signatures.push(signature);
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(|error| EngineError::Database(sqlx::Error::Encode(Box::new(error))))
}

/// Bounded by the contract at 1000.
fn count(n: usize) -> i16 {
    i16::try_from(n).unwrap_or(i16::MAX)
}
