//! Random sequences of verbs against a model in memory that uses the lifecycle as its oracle.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use chrono::{DateTime, Utc};
use posthaste_engine::{
    claim::ClaimedRun,
    finalize::Settled,
    lifecycle::{self, Next, Outcome, Policy, RunError, Spent, Transition},
    promote::promote,
    rescue::{rescue, retry_lost},
    retry::RetryPolicy,
    retry_job::retry_job,
    session::Role,
};
use posthaste_protocol::id::JobId;
use posthaste_tests::{
    FakeDispatcher, TestDb, policy,
    sql::{assert_each_job_is_in_one_place, cancel, enqueue, run},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{PgConnection, Row};

const OPERATIONS: usize = 30;

/// A job as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    state: &'static str,
    max_attempts: u32,
    spent: Spent,
    /// Of the run that waits, runs or ended last.
    run_lease: i64,
    /// Shown once it has ended.
    last_attempt: i32,
    asked_to_cancel: bool,
    attempts: Vec<String>,
}

impl Model {
    fn shown_attempt(&self) -> i32 {
        let failures = i32::try_from(self.spent.failures).unwrap();
        match self.state {
            "available" | "scheduled" => failures,
            "running" => failures + 1,
            _ => self.last_attempt,
        }
    }

    fn shown_run_lease(&self) -> i64 {
        if matches!(self.state, "available" | "scheduled") { self.run_lease - 1 } else { self.run_lease }
    }

    fn ended(&self) -> bool {
        matches!(self.state, "completed" | "cancelled" | "dead")
    }

    /// The run ends as the lifecycle says, unless somebody asked to cancel.
    fn end(&mut self, transition: &Transition, attempt: i32) {
        let again = matches!(transition.next, Next::Again { .. });
        if again && self.asked_to_cancel {
            return self.finish("cancelled", "cancelled", attempt);
        }
        let word = transition.recorded.as_str();
        match transition.next {
            Next::Completed => self.finish("completed", word, attempt),
            Next::Cancelled => self.finish("cancelled", word, attempt),
            Next::Dead { .. } => self.finish("dead", word, attempt),
            Next::Again { delay, failures, uncounted, snoozing } => {
                self.attempts.push(format!("{}:{word}", self.run_lease));
                self.run_lease += 1;
                self.spent = Spent { failures, uncounted, uncounted_for: Duration::ZERO, snoozing };
                self.state = if delay.is_zero() { "available" } else { "scheduled" };
            }
        }
    }

    fn finish(&mut self, state: &'static str, word: &str, attempt: i32) {
        self.attempts.push(format!("{}:{word}", self.run_lease));
        self.state = state;
        self.last_attempt = attempt;
        self.asked_to_cancel = false;
    }
}

/// The database, the model, and who acts.
struct World {
    connection: PgConnection,
    dispatchers: Vec<FakeDispatcher>,
    jobs: BTreeMap<i64, Model>,
    /// What runs, by dispatcher.
    running: Vec<(usize, ClaimedRun)>,
    far_future: DateTime<Utc>,
    rng: StdRng,
    log: String,
}

impl World {
    fn note(&mut self, what: &str) {
        writeln!(self.log, "{what}").unwrap();
    }

    fn pick(&mut self) -> Option<i64> {
        let ids: Vec<i64> = self.jobs.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.rng.random_range(0..ids.len())])
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.enqueue().await,
            20..45 => self.claim().await,
            45..70 => self.end().await,
            70..78 => self.cancel().await,
            78..88 => self.promote().await,
            88..93 => self.rescue().await,
            _ => self.retry().await,
        }
    }

    async fn enqueue(&mut self) {
        let max_attempts = self.rng.random_range(1..4);
        let later = self.rng.random_bool(0.3);
        let delay = if later { 60_000 } else { 0 };
        let priority = self.rng.random_range(1..=4);
        let arguments = format!("'k', max_attempts => {max_attempts}, delay_ms => {delay}, priority => {priority}");
        let id = enqueue(&mut self.connection, &arguments).await;
        let state = if later { "scheduled" } else { "available" };
        let model = Model {
            state,
            max_attempts,
            spent: Spent::default(),
            run_lease: 1,
            last_attempt: 0,
            asked_to_cancel: false,
            attempts: Vec::new(),
        };
        self.note(&format!("enqueue {id}: {arguments}"));
        self.jobs.insert(id, model);
    }

    async fn claim(&mut self) {
        let (who, limit) = (self.rng.random_range(0..self.dispatchers.len()), self.rng.random_range(1..4));
        let runs = self.dispatchers[who].claim_any(limit).await;
        let ids: Vec<i64> = runs.iter().map(|run| run.job_id).collect();
        self.note(&format!("claim of {limit} by {who}: {ids:?}"));
        let available = self.jobs.values().filter(|job| job.state == "available").count();
        assert_eq!(runs.len(), available.min(usize::try_from(limit).unwrap()));
        for run in runs {
            let job = self.jobs.get_mut(&run.job_id).unwrap();
            assert_eq!((job.state, job.run_lease), ("available", run.run_lease));
            let spent = (run.spent.failures, run.spent.uncounted);
            assert_eq!(spent, (job.spent.failures, job.spent.uncounted));
            job.state = "running";
            self.running.push((who, (*run).clone()));
        }
    }

    fn outcome(&mut self) -> Outcome {
        let error = RunError::new("code", "as the model wants it");
        match self.rng.random_range(0..12) {
            0..3 => Outcome::Completed { result: Some("1".to_owned()) },
            3..5 => Outcome::Failed { error, retry_after: None },
            5 => Outcome::Throttled { error, retry_after: None, charged: self.rng.random_bool(0.5) },
            6 => Outcome::Snoozed { after: Duration::from_secs(3) },
            7 => Outcome::GaveUp { error },
            8 => Outcome::Cancelled { reason: None },
            9 => Outcome::Misconfigured { error, retry_after: None },
            10 => {
                if self.rng.random_bool(0.5) {
                    Outcome::NotSent { error }
                } else {
                    Outcome::Released
                }
            }
            _ => {
                let fail = self.rng.random_bool(0.3);
                if self.rng.random_bool(0.8) { Outcome::Unknown { error, fail } } else { Outcome::Expired }
            }
        }
    }

    /// Ends a run, sometimes one that has been ended by others, sometimes twice.
    async fn end(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let (who, run) = self.running.swap_remove(self.rng.random_range(0..self.running.len()));
        let outcome = self.outcome();
        self.note(&format!("end of {} run {}: {outcome:?}", run.job_id, run.run_lease));
        let job = self.jobs.get_mut(&run.job_id).unwrap();
        let spent = Spent { uncounted_for: run.spent.uncounted_for, ..job.spent };
        let transition = lifecycle::decide(outcome, run.spent, &policy(&run), 0.0);
        let current = job.state == "running" && job.run_lease == run.run_lease;
        let end = FakeDispatcher::end_with(&run, transition.clone());
        let settled = self.dispatchers[who].settle(std::slice::from_ref(&end)).await;
        if current {
            assert_eq!((settled[0], run.spent), (Settled::Applied, spent));
            job.end(&transition, i32::from(run.attempt()));
            let again = self.dispatchers[who].settle(&[end]).await;
            assert_eq!(again, [Settled::Duplicate]);
        } else {
            assert_eq!(settled, [Settled::Superseded]);
        }
    }

    async fn cancel(&mut self) {
        let Some(id) = self.pick() else { return };
        let force = self.rng.random_bool(0.5);
        let said = cancel(&mut self.connection, id, force).await;
        self.note(&format!("cancel of {id}, force {force}: {said}"));
        let job = self.jobs.get_mut(&id).unwrap();
        match job.state {
            "available" | "scheduled" => {
                let attempt = job.shown_attempt();
                job.finish("cancelled", "cancelled", attempt);
            }
            "running" if force => {
                let attempt = job.shown_attempt();
                job.finish("cancelled", "cancelled", attempt);
            }
            "running" => job.asked_to_cancel = true,
            _ => {}
        }
        assert_eq!(said, job.state);
    }

    async fn promote(&mut self) {
        let limit = self.rng.random_range(1..6);
        let promoted = promote(&mut self.dispatchers[0].settles, limit, Some(self.far_future)).await.unwrap().count;
        self.note(&format!("promote of {limit}: {promoted}"));
        let scheduled = self.jobs.values().filter(|job| job.state == "scheduled").count();
        assert_eq!(promoted, i64::try_from(scheduled).unwrap().min(limit));
        let ready: Vec<i64> =
            sqlx::query_scalar("select job_id from posthaste.ready").fetch_all(&mut self.connection).await.unwrap();
        for id in ready {
            self.jobs.get_mut(&id).unwrap().state = "available";
        }
    }

    /// One dispatcher falls silent: everything it runs is rescued. Late ends of it may still come.
    async fn rescue(&mut self) {
        let who = self.rng.random_range(0..self.dispatchers.len());
        self.note(&format!("rescue of {who}"));
        let mut ended = 0;
        let silent = [self.dispatchers[who].id];
        loop {
            let rescued = rescue(&mut self.connection, &silent, &retry_lost, 0.0).await.unwrap();
            ended += rescued.runs;
            if rescued.leases == 0 {
                break;
            }
        }
        let mut expected = 0;
        for (_, run) in self.running.iter().filter(|(owner, _)| *owner == who) {
            let job = self.jobs.get_mut(&run.job_id).unwrap();
            if job.state == "running" && job.run_lease == run.run_lease {
                let policy = Policy { max_attempts: job.max_attempts, retry: RetryPolicy::default() };
                job.end(&lifecycle::rescue(run.spent, &policy, false, 0.0), i32::from(run.attempt()));
                expected += 1;
            }
        }
        assert_eq!(ended, expected);
    }

    async fn retry(&mut self) {
        let Some(id) = self.pick() else { return };
        let said = retry_job(&mut self.connection, JobId(id)).await.unwrap();
        self.note(&format!("retry of {id}: {said:?}"));
        let job = self.jobs.get_mut(&id).unwrap();
        if job.ended() {
            job.attempts.push(format!("{}:redriven", job.run_lease + 1));
            job.run_lease += 2;
            job.spent = Spent::default();
            job.state = "available";
        } else if job.state == "scheduled" {
            job.state = "available";
        }
    }

    /// Compares every job with what reading shows.
    async fn compare(&mut self) {
        let query = "select id, state, attempt, run_lease, array(
              select a.run_lease || ':' || a.outcome from posthaste.attempt a where a.job_id = id order by a.run_lease)
            from posthaste.jobs order by id";
        let rows = sqlx::query(query).fetch_all(&mut self.connection).await.unwrap();
        assert_eq!(rows.len(), self.jobs.len(), "{}", self.log);
        for row in rows {
            let id: i64 = row.get(0);
            let shown: (String, i32, i64, Vec<String>) = (row.get(1), row.get(2), row.get(3), row.get(4));
            let job = &self.jobs[&id];
            let run_lease = job.shown_run_lease();
            let expected = (job.state.to_owned(), job.shown_attempt(), run_lease, job.attempts.clone());
            assert_eq!(shown, expected, "job {id}; {}", self.log);
        }
    }
}

/// Runs the sequences of these seeds, each on an empty ledger.
async fn sequences(seeds: std::ops::Range<u64>) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let query = "select now() + interval '1000 days'";
    let far_future = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    let dispatchers = vec![FakeDispatcher::start(&db).await, FakeDispatcher::start(&db).await];
    let (jobs, running, rng) = (BTreeMap::new(), Vec::new(), StdRng::seed_from_u64(0));
    let mut world = World { connection, dispatchers, jobs, running, far_future, rng, log: String::new() };
    for seed in seeds {
        world.jobs.clear();
        world.running.clear();
        world.rng = StdRng::seed_from_u64(seed);
        world.log = format!("seed {seed}\n");
        for _ in 0..OPERATIONS {
            world.step().await;
            world.compare().await;
        }
        assert_each_job_is_in_one_place(&mut world.connection).await;
        run(
            &mut world.connection,
            "delete from posthaste.job; delete from posthaste.attempt; delete from posthaste.ready;
             delete from posthaste.scheduled; delete from posthaste.lease; delete from posthaste.dead_letter;
             delete from posthaste.cancel_request",
        )
        .await;
    }
}

#[tokio::test]
async fn random_verbs_leave_what_the_lifecycle_says_first_hundred() {
    sequences(0..100).await;
}

#[tokio::test]
async fn random_verbs_leave_what_the_lifecycle_says_second_hundred() {
    sequences(100..200).await;
}
