//! Rescue: end the runs of a dispatcher that went silent, and give back what was claimed and never sent.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use crate::{
    EngineError,
    claim::Lease,
    finalize::{EndedBy, RunEnd, finalize},
    floor::Scan,
    held::{HeldRun, RunRef},
    lifecycle::{
        self, Outcome, Policy, Spent, Transition,
        wait::{self, WaitTimes},
    },
    park::{Park, Parked, park},
    retry::RetryPolicy,
};

/// The most leases one rescue takes.
const LEASES_PER_RESCUE: i64 = 8;

/// What a rescue did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Leases taken over.
    pub leases: usize,
    /// Runs that this rescue ended.
    pub runs: usize,
    /// Runs that it parked instead.
    pub parked: usize,
}

/// What the endpoint of a lost run wants.
#[derive(Debug, Clone)]
pub struct LostPolicy {
    /// How retries wait.
    pub retry: RetryPolicy,
    /// `on_unknown: fail`: dead rather than run twice.
    pub fail: bool,
    /// `on_unknown: wait`: parked, with these times, rather than ended; its callback may still come.
    pub wait: Option<WaitTimes>,
}

/// The policy where no endpoint says otherwise: retry, by the default backoff.
pub fn retry_lost(_scan: Scan) -> LostPolicy {
    LostPolicy { retry: RetryPolicy::default(), fail: false, wait: None }
}

/// Rescues some leases of these silent dispatchers: an ended or parked run needs nothing, any other one counts as a failure
/// of unknown delivery, or is parked where its endpoint says so. `policy_of` knows what the endpoint of a lane wants; `jitter` is drawn in `[0, 1)`. Call again
/// until no lease is taken over. A run that Postgres refuses to end (a lock, a bad row) delays only itself.
pub async fn rescue(
    connection: &mut PgConnection,
    silent: &[i64],
    policy_of: &(dyn Fn(Scan) -> LostPolicy + Sync),
    jitter: f64,
) -> Result<Rescued, EngineError> {
    let lost = Lost { policy_of, jitter };
    match lost.take_over(connection, silent, &[], None).await {
        Err(error) if error.is_divisible() => lost.one_by_one(connection, silent).await,
        result => result,
    }
}

/// How lost runs are ended.
struct Lost<'a> {
    policy_of: &'a (dyn Fn(Scan) -> LostPolicy + Sync),
    jitter: f64,
}

impl Lost<'_> {
    /// Takes over some leases of these dispatchers, or these leases: all of their runs, or one. Two statements: the leases are locked first, then the runs
    /// are read and ended with a newer snapshot.
    async fn take_over(
        &self,
        connection: &mut PgConnection,
        dispatchers: &[i64],
        leases: &[i64],
        only: Option<i64>,
    ) -> Result<Rescued, EngineError> {
        let mut tx = connection.begin().await?;
        let leases = sqlx::query(
            "select lease_id, nonce, job_ids, run_leases, failures, uncounted
             from posthaste.lease where dispatcher_id = any ($1) or lease_id = any ($2)
             order by lease_id limit $3 for update skip locked",
        )
        .bind(dispatchers)
        .bind(leases)
        .bind(LEASES_PER_RESCUE)
        .fetch_all(&mut *tx)
        .await?;
        let ids: Vec<i64> = leases.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let mut held = Vec::new();
        for row in &leases {
            held.extend(runs_of(row)?);
        }
        held.retain(|run| only.is_none_or(|job| run.job_id == job));
        // A job can stand in two leases of one dispatcher (retried, claimed again); each run is its own.
        let facts = facts(&mut tx, &held).await?;
        let mut ends = Vec::with_capacity(held.len());
        let mut parks = Vec::new();
        for (run, fact) in held.iter().zip(facts) {
            let Some(Facts { scan, max_attempts, callback_timeout }) = fact else { continue };
            let LostPolicy { retry, fail, wait } = (self.policy_of)(scan);
            if let Some(times) = wait {
                let times = WaitTimes { callback: callback_timeout.unwrap_or(times.callback), ..times };
                parks.push(Park { run: run.held(scan, max_attempts), times });
                continue;
            }
            let transition = lifecycle::rescue(run.spent, &Policy { max_attempts, retry }, fail, self.jitter);
            ends.push(run.end(scan, transition, run.attempt(), Some("unknown")));
        }
        let parked = park(&mut tx, &parks, &[]).await?;
        let parked = parked.iter().filter(|parked| matches!(parked, Parked::Waits { .. })).count();
        let drained = if only.is_none() { ids.as_slice() } else { &[] };
        let runs = finalize(&mut tx, &ends, EndedBy::Rescue, drained).await?.len();
        tx.commit().await?;
        Ok(Rescued { leases: drained.len(), runs, parked })
    }

    /// One run is at fault: ends each of the others by itself, and leaves the lease of the guilty one.
    async fn one_by_one(&self, connection: &mut PgConnection, silent: &[i64]) -> Result<Rescued, EngineError> {
        let leases: Vec<(i64, Vec<i64>)> = sqlx::query_as(
            "select lease_id, job_ids from posthaste.lease where dispatcher_id = any ($1) order by lease_id",
        )
        .bind(silent)
        .fetch_all(&mut *connection)
        .await?;
        let mut rescued = Rescued::default();
        for (lease, jobs) in leases {
            let mut guilty = 0;
            for job in jobs {
                match self.take_over(connection, &[], &[lease], Some(job)).await {
                    Ok(one) => {
                        rescued.runs += one.runs;
                        rescued.parked += one.parked;
                    }
                    Err(error) if error.is_divisible() => guilty += 1,
                    Err(error) => return Err(error),
                }
            }
            if guilty == 0 {
                rescued.leases += self.take_over(connection, &[], &[lease], None).await?.leases;
            }
        }
        Ok(rescued)
    }
}

/// Gives back the runs of a dispatcher's own leases that it does not know: it lost a claim's answer, so they were
/// never sent. `known` are the leases it holds, `last` the newest id it had used when it said so: a younger lease may be a
/// claim that is being answered right now. A run that is parked was sent, and is left alone. Returns the number of runs
/// released.
pub async fn release_unknown(
    connection: &mut PgConnection,
    dispatcher_id: i64,
    known: &[i64],
    last: i64,
) -> Result<usize, EngineError> {
    let mut tx = connection.begin().await?;
    let leases = sqlx::query(
        "select lease_id, nonce, job_ids, run_leases, failures, uncounted
         from posthaste.lease where dispatcher_id = $1 and lease_id <> all ($2) and lease_id <= $3
         order by lease_id limit 50 for update skip locked",
    )
    .bind(dispatcher_id)
    .bind(known)
    .bind(last)
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<i64> = leases.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut held = Vec::new();
    for row in &leases {
        held.extend(runs_of(row)?);
    }
    let facts = facts(&mut tx, &held).await?;
    let mut ends = Vec::with_capacity(held.len());
    for (run, fact) in held.iter().zip(facts) {
        let Some(Facts { scan, max_attempts, .. }) = fact else { continue };
        let policy = Policy { max_attempts, retry: RetryPolicy::default() };
        let transition = lifecycle::decide(Outcome::Released, run.spent, &policy, 0.0);
        ends.push(run.end(scan, transition, run.attempt().saturating_sub(1), None));
    }
    let released = finalize(&mut tx, &ends, EndedBy::Dispatcher, &ids).await?.len();
    tx.commit().await?;
    Ok(released)
}

/// One run of a lease row.
struct LostRun {
    lease: Lease,
    job_id: i64,
    run_lease: i64,
    spent: Spent,
}

impl LostRun {
    fn attempt(&self) -> i16 {
        i16::try_from(self.spent.failures.saturating_add(1)).unwrap_or(i16::MAX)
    }

    fn held(&self, scan: Scan, max_attempts: u32) -> HeldRun {
        HeldRun {
            run: RunRef { lease: self.lease, job_id: self.job_id, run_lease: self.run_lease },
            scan,
            spent: self.spent,
            uncounted_since: None,
            max_attempts,
            http_status: None,
            age_us: None,
            headers_us: None,
            body_us: None,
            waits: false,
            cancel_requested: false,
            has_cel: false,
        }
    }

    fn end(&self, scan: Scan, transition: Transition, attempt: i16, class: Option<&'static str>) -> RunEnd {
        RunEnd { attempt, ..self.held(scan, 1).end(transition, class) }
    }
}

fn runs_of(row: &sqlx::postgres::PgRow) -> Result<Vec<LostRun>, EngineError> {
    let lease = Lease { lease_id: row.try_get(0)?, nonce: row.try_get::<Uuid, _>(1)? };
    let jobs: Vec<i64> = row.try_get(2)?;
    let runs: Vec<i64> = row.try_get(3)?;
    let failures: Vec<i16> = row.try_get(4)?;
    let uncounted: Vec<i16> = row.try_get(5)?;
    let held = jobs.into_iter().zip(runs).zip(failures.into_iter().zip(uncounted)).map(
        |((job_id, run_lease), (failures, uncounted))| LostRun {
            lease,
            job_id,
            run_lease,
            spent: Spent {
                failures: u32::try_from(failures).unwrap_or(0),
                uncounted: u32::from(uncounted.unsigned_abs()),
                snoozing: uncounted < 0,
                ..Spent::default()
            },
        },
    );
    Ok(held.collect())
}

/// What a lost run's job says.
struct Facts {
    /// Where it goes next.
    scan: Scan,
    /// How often it may fail.
    max_attempts: u32,
    /// Its own time for a callback.
    callback_timeout: Option<Duration>,
}

/// What each run's job says; `None` for a job that is gone, and for a run that is parked:
/// its wait decides.
async fn facts(connection: &mut PgConnection, held: &[LostRun]) -> Result<Vec<Option<Facts>>, EngineError> {
    let ids: Vec<i64> = held.iter().map(|run| run.job_id).collect();
    let rows = sqlx::query(
        "select j.lane_id, j.priority, j.max_attempts, j.callback ->> 'timeout_ms'
         from unnest($1::bigint[], $2::bigint[]) with ordinality as i (job_id, run_lease, n)
         left join posthaste.waiting w on w.job_id = i.job_id and w.run_lease = i.run_lease
         left join posthaste.job j on j.job_id = i.job_id and w.job_id is null
         order by i.n",
    )
    .bind(ids)
    .bind(held.iter().map(|run| run.run_lease).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let Some(lane_id) = row.try_get::<Option<i32>, _>(0)? else { return Ok(None) };
            let max: i16 = row.try_get(2)?;
            Ok(Some(Facts {
                scan: Scan { lane_id, priority: row.try_get(1)? },
                max_attempts: u32::try_from(max).unwrap_or(1),
                callback_timeout: wait::of_job(row.try_get(3)?),
            }))
        })
        .collect()
}
