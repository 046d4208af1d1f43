//! A dispatcher without HTTP: claims through the engine and ends what it claimed.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use posthaste_engine::{
    claim::{ClaimRequest, ClaimedRun, Lease, claim},
    finalize::{EndedBy, RunEnd, Settled, settle},
    fleet,
    floor::{Floors, Scan},
    held::HeldRun,
    lifecycle::{self, Outcome, Policy, RunError, Transition, wait::WaitTimes},
    park::{Park, Parked, park},
    retry::RetryPolicy,
    session::Role,
    suspend::Suspend,
};
use posthaste_protocol::suspend::Suspension;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{TestDb, database::connect, sql};

/// A retry policy without surprises: ten seconds, no jitter.
pub const RETRY: RetryPolicy = RetryPolicy::Constant { base: Duration::from_secs(10), jitter: 0.0 };

/// An hour for the callback, a day for the run.
pub const HOUR: WaitTimes =
    WaitTimes { callback: Duration::from_hours(1), heartbeat: None, max_run: Duration::from_hours(24) };

/// What a run's owner allows, with [`RETRY`].
pub fn policy(run: &ClaimedRun) -> Policy {
    Policy { max_attempts: u32::try_from(run.max_attempts).unwrap_or(1), retry: RETRY }
}

/// A counted failure with this code.
pub fn failed(code: &'static str) -> Outcome {
    Outcome::Failed { error: RunError::new(code, "as the test wants it"), retry_after: None }
}

/// One dispatcher of the fleet, with its floors and its connections.
#[derive(Debug)]
pub struct FakeDispatcher {
    /// Its number in the fleet.
    pub id: i64,
    /// What it has learnt of the lanes.
    pub floors: Floors,
    /// For claims.
    pub claims: PgConnection,
    /// For ends.
    pub settles: PgConnection,
    leases: i64,
}

impl FakeDispatcher {
    /// Registers a dispatcher.
    pub async fn start(db: &TestDb) -> Self {
        Self::start_at(db.url()).await
    }

    /// Registers a dispatcher on the database of this URL.
    pub async fn start_at(url: &str) -> Self {
        let claims = connect(url, Role::Claim).await;
        let mut settles = connect(url, Role::Settle).await;
        let (id, _) = fleet::register(&mut settles, "test", "0").await.expect("registering a dispatcher");
        Self { id, floors: Floors::default(), claims, settles, leases: 0 }
    }

    /// The identity of its next claim batch.
    pub fn next_lease(&mut self) -> Lease {
        self.leases += 1;
        let lease_id = (self.id << 32) | self.leases;
        let nonce = Uuid::from_u64_pair(lease_id.cast_unsigned(), !lease_id.cast_unsigned());
        Lease { lease_id, nonce }
    }

    /// Claims at most `limit` runs of these scans.
    pub async fn claim(&mut self, scans: &[Scan], limit: i64) -> Vec<Arc<ClaimedRun>> {
        let lease = self.next_lease();
        let request = ClaimRequest { dispatcher_id: self.id, lease, lasts: Duration::from_mins(1), scans, limit };
        claim(&mut self.claims, &request, &mut self.floors).await.expect("a claim")
    }

    /// Claims at most `limit` runs of any lane.
    pub async fn claim_any(&mut self, limit: i64) -> Vec<Arc<ClaimedRun>> {
        let scans = sql::all_scans(&mut self.settles).await;
        self.claim(&scans, limit).await
    }

    /// Claims the one run that there is.
    pub async fn claim_one(&mut self) -> Arc<ClaimedRun> {
        let mut runs = self.claim_any(2).await;
        assert_eq!(runs.len(), 1, "runs to claim");
        runs.remove(0)
    }

    /// The end of a run that came to `outcome`, as the lifecycle decides it.
    pub fn end(run: &ClaimedRun, outcome: Outcome) -> RunEnd {
        Self::end_with(run, lifecycle::decide(outcome, run.spent, &policy(run), 0.0))
    }

    /// The end of a run with this transition.
    pub fn end_with(run: &ClaimedRun, transition: Transition) -> RunEnd {
        RunEnd {
            lease: run.lease,
            job_id: run.job_id,
            run_lease: run.run_lease,
            scan: run.scan,
            attempt: run.attempt(),
            uncounted_since: run.uncounted_since,
            transition,
            class: Some("responded"),
            http_status: Some(200),
            age_us: Some(1_000),
            headers_us: Some(900),
            body_us: Some(100),
            callback: None,
        }
    }

    /// Ends runs; tells what became of each. Leases are left as they are.
    pub async fn settle(&mut self, ends: &[RunEnd]) -> Vec<Settled> {
        settle(&mut self.settles, ends, EndedBy::Dispatcher, &[]).await.expect("a finalize")
    }

    /// A run whose function answered 202: it has an hour, and may take a day.
    pub fn accepted(run: &ClaimedRun) -> Park {
        let answer = HeldRun {
            http_status: Some(202),
            age_us: Some(1_000),
            headers_us: Some(900),
            body_us: Some(100),
            ..HeldRun::from(run)
        };
        Park { run: answer, times: HOUR }
    }

    /// A run whose function answered that it waits, with this body; its waits have an hour, and it may take a day.
    pub fn suspended(run: &ClaimedRun, body: &str) -> Suspend {
        let suspension = Suspension::parse(body).expect("the body of a suspension");
        let run = Self::accepted(run).run;
        Suspend { run, suspension, max_run: HOUR.max_run, default_timeout: HOUR.callback }
    }

    /// Parks one run that is the last of its lease; asserts that it waits. Returns its deadline.
    pub async fn park(&mut self, run: &ClaimedRun) -> DateTime<Utc> {
        let parked = park(&mut self.settles, &[Self::accepted(run)], &[run.lease.lease_id]).await.expect("a park");
        let [Parked::Waits { deadline }] = parked[..] else { panic!("not parked: {parked:?}") };
        deadline
    }

    /// Ends one run that is the last of its lease; asserts that this ended it.
    pub async fn finish(&mut self, run: &ClaimedRun, outcome: Outcome) {
        let drained = [run.lease.lease_id];
        let end = Self::end(run, outcome);
        let settled = settle(&mut self.settles, &[end], EndedBy::Dispatcher, &drained).await.expect("a finalize");
        assert_eq!(settled, [Settled::Applied]);
    }
}
