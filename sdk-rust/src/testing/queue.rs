//! A small queue in memory, with a clock that only the test moves.

mod waiting;

use std::{collections::BTreeMap, time::Duration};

use posthaste_protocol::{id::JobId, job::State};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use self::waiting::Waiting;
use super::{Answered, Dispatch, Report, run};
use crate::{
    app::App,
    job::Job,
    new_job::NewJob,
    outcome::{Completed, Outcome, Suspend},
};

/// After a failure that names no time: the attempt's number in seconds. The server's policy is the endpoint's.
const RETRY_STEP: Duration = Duration::from_secs(1);
/// After a snooze or a throttle that names no time.
const SNOOZE: Duration = Duration::from_mins(1);
/// The longest that what names no time is waited for.
const DEFAULT_WAIT: Duration = Duration::from_hours(1);
/// More runs than any test means: a handler that snoozes for nothing would run for ever.
const MAX_RUNS: usize = 10_000;

/// Jobs in memory, run against an app in the order in which they are due. Its time begins at zero, and only
/// [`advance`](Queue::advance) moves it. It knows no dates: a `run_at` is now, a `Wait::timer_until` comes after an hour, as
/// does the end of whatever names no time-out. What it does not do: expressions, signatures, priorities, expiry.
#[derive(Debug)]
pub struct Queue {
    app: App,
    now: Duration,
    jobs: BTreeMap<JobId, Kept>,
}

#[derive(Debug)]
struct Kept {
    job: NewJob,
    standing: Standing,
    attempt: i32,
    run_lease: i64,
    resumes: u32,
    steps: Map<String, Value>,
    woken: Option<(String, Value, bool)>,
    result: Option<String>,
    error: Option<Answered>,
    reports: Vec<Report>,
}

#[derive(Debug)]
enum Standing {
    /// To be run at this time.
    Due(Duration),
    /// Waits for a callback until this time.
    Accepted(Duration),
    Suspended(Waiting),
    Ended(State),
}

/// How a job of a [`Queue`] stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JobView {
    /// As the server would say it.
    pub state: State,
    /// The attempt now or last made; 0 before the first.
    pub attempt: i32,
    /// How often it was run.
    pub runs: i64,
    /// What its last run failed with.
    pub error: Option<Answered>,
    /// The steps that are kept.
    pub steps: Map<String, Value>,
    /// What all its runs reported, in order.
    pub reports: Vec<Report>,
    result: Option<String>,
}

impl JobView {
    /// The result of a completed job, read as `T`.
    pub fn result<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.result.as_deref().unwrap_or("null"))
    }
}

impl Queue {
    /// An empty queue for this app.
    pub fn new(app: App) -> Self {
        Self { app, now: Duration::ZERO, jobs: BTreeMap::new() }
    }

    /// Enqueues a job with these args.
    pub fn push(&mut self, args: &impl Job) -> JobId {
        self.push_job(args.job())
    }

    /// Enqueues this job. Its `delay` counts; a `run_at` is taken as now, for this clock knows no dates.
    pub fn push_job(&mut self, job: NewJob) -> JobId {
        let id = JobId(i64::try_from(self.jobs.len()).unwrap_or(i64::MAX - 1) + 1);
        let delay =
            job.options.delay_ms.and_then(|ms| ms.try_into().ok()).map_or(Duration::ZERO, Duration::from_millis);
        let kept = Kept {
            job,
            standing: Standing::Due(self.now + delay),
            attempt: 0,
            run_lease: 0,
            resumes: 0,
            steps: Map::new(),
            woken: None,
            result: None,
            error: None,
            reports: Vec::new(),
        };
        self.jobs.insert(id, kept);
        id
    }

    /// The queue's time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// How a job stands; `None` where there is no such job.
    pub fn job(&self, id: JobId) -> Option<JobView> {
        let kept = self.jobs.get(&id)?;
        let state = match &kept.standing {
            Standing::Due(at) if *at > self.now => State::Scheduled,
            Standing::Due(_) => State::Available,
            Standing::Accepted(_) | Standing::Suspended(_) => State::Waiting,
            Standing::Ended(state) => *state,
        };
        let (error, steps, reports) = (kept.error.clone(), kept.steps.clone(), kept.reports.clone());
        let (attempt, runs, result) = (kept.attempt, kept.run_lease, kept.result.clone());
        Some(JobView { state, attempt, runs, error, steps, reports, result })
    }

    /// Runs everything that is due now, and what comes due by that; returns how many runs that were.
    ///
    /// # Panics
    ///
    /// After 10,000 runs: a handler never lets its job end.
    pub async fn drain(&mut self) -> usize {
        for runs in 0..MAX_RUNS {
            self.wake();
            let due = |(id, kept): (&JobId, &Kept)| match kept.standing {
                Standing::Due(at) if at <= self.now => Some((at, *id)),
                _ => None,
            };
            let Some((_, id)) = self.jobs.iter().filter_map(due).min() else { return runs };
            self.run(id).await;
        }
        panic!("{MAX_RUNS} runs and no end: does a handler always ask to be run again at once?")
    }

    /// Moves the time on, and runs everything that comes due, each when it does; returns how many runs that were.
    pub async fn advance(&mut self, by: Duration) -> usize {
        let until = self.now + by;
        let mut runs = self.drain().await;
        while let Some(next) = self.next_at().filter(|next| *next <= until) {
            self.now = next.max(self.now);
            runs += self.drain().await;
        }
        self.now = until;
        runs
    }

    /// Says `complete` of a job that waits for a callback; false where it does not.
    pub fn complete(&mut self, id: JobId, result: &impl Serialize) -> Result<bool, serde_json::Error> {
        let completed = Completed::with(result)?;
        Ok(match self.jobs.get_mut(&id) {
            Some(kept) if matches!(kept.standing, Standing::Accepted(_)) => {
                kept.result = Some(completed.json);
                kept.standing = Standing::Ended(State::Completed);
                true
            }
            _ => false,
        })
    }

    /// Says `resume` to a suspended job, which meets its first open callback wait; false where it has none.
    pub fn resume(&mut self, id: JobId, payload: &impl Serialize) -> Result<bool, serde_json::Error> {
        let payload = serde_json::to_value(payload)?;
        Ok(match self.jobs.get_mut(&id).map(|kept| &mut kept.standing) {
            Some(Standing::Suspended(waiting)) => waiting.resume(payload),
            _ => false,
        })
    }

    /// When the next thing happens by itself.
    fn next_at(&self) -> Option<Duration> {
        let at = |kept: &Kept| match &kept.standing {
            Standing::Due(at) | Standing::Accepted(at) => Some(*at),
            Standing::Suspended(waiting) => waiting.next_at(),
            Standing::Ended(_) => None,
        };
        self.jobs.values().filter_map(at).min()
    }

    /// Whatever waited for this time, or for jobs that have ended, is due.
    fn wake(&mut self) {
        let ended: BTreeMap<JobId, Value> =
            self.jobs.iter().filter_map(|(id, kept)| Some((*id, kept.ended()?))).collect();
        for kept in self.jobs.values_mut() {
            match &mut kept.standing {
                Standing::Accepted(until) if *until <= self.now => kept.fail(self.now, "callback_timeout", None),
                Standing::Suspended(waiting) => {
                    if let Some(woken) = waiting.poll(self.now, &ended) {
                        kept.woken = Some(woken);
                        kept.resumes += 1;
                        kept.standing = Standing::Due(self.now);
                    }
                }
                _ => {}
            }
        }
    }

    async fn run(&mut self, id: JobId) {
        let Some(kept) = self.jobs.get_mut(&id) else { return };
        kept.run_lease += 1;
        let woken = kept.woken.take();
        // A resume is a new run of the same attempt; so is what follows a snooze.
        kept.attempt = kept.attempt.max(1);
        let mut dispatch = Dispatch::of_job(kept.job.clone()).id(id).attempt(kept.attempt).run_lease(kept.run_lease);
        dispatch.steps.clone_from(&kept.steps);
        dispatch.resumes = kept.resumes;
        if let Some((name, payload, timed_out)) = &woken {
            dispatch = dispatch.woken(name, payload, *timed_out);
        }
        let ran = run(&self.app, &dispatch).await;
        for report in &ran.reports {
            if let Report::Checkpoint(steps) = report {
                kept.steps.extend(steps.clone());
            }
        }
        kept.reports.extend(ran.reports);
        kept.settle(self.now, ran.outcome);
    }
}

impl Kept {
    fn settle(&mut self, now: Duration, outcome: Result<Outcome, Answered>) {
        match outcome {
            Ok(Outcome::Completed(Completed { json })) => {
                (self.result, self.error) = (Some(json), None);
                self.standing = Standing::Ended(State::Completed);
            }
            Ok(Outcome::Cancel(_)) => self.standing = Standing::Ended(State::Cancelled),
            Ok(Outcome::Accepted(accepted)) => {
                let timeout = accepted.heartbeat_timeout.or(accepted.callback_timeout).unwrap_or(DEFAULT_WAIT);
                self.standing = Standing::Accepted(now + timeout);
            }
            Ok(Outcome::Suspend(suspend)) => self.suspend(now, suspend),
            Ok(Outcome::Snooze(snooze)) => self.standing = Standing::Due(now + snooze.after.unwrap_or(SNOOZE)),
            Ok(Outcome::Throttle(throttle)) => self.standing = Standing::Due(now + throttle.after.unwrap_or(SNOOZE)),
            Ok(Outcome::Retry(retry)) => self.fail(now, &retry.code, retry.after),
            Ok(Outcome::Fail(fail)) => self.die(fail.code.unwrap_or_else(|| "fail".to_owned()), fail.message),
            Ok(Outcome::Retire(retire)) => self.die("http_410".to_owned(), retire.message),
            Err(answered) if answered.status == 500 => {
                let code = answered.code.clone();
                self.fail(now, &code, None);
                self.error = Some(answered);
            }
            // Wrong args, an unknown kind: in a test, nobody will deploy something better meanwhile.
            Err(answered) => self.die(answered.code, answered.detail),
        }
    }

    fn suspend(&mut self, now: Duration, mut suspend: Suspend) {
        self.steps.append(&mut suspend.steps);
        self.standing = Standing::Suspended(Waiting::new(now, suspend));
    }

    fn fail(&mut self, now: Duration, code: &str, after: Option<Duration>) {
        self.error = Some(Answered { status: 500, code: code.to_owned(), detail: String::new() });
        let pause = RETRY_STEP * self.attempt.unsigned_abs();
        self.standing = if self.attempt >= self.job.options.max_attempts.unwrap_or(25) {
            Standing::Ended(State::Dead)
        } else {
            self.attempt += 1;
            Standing::Due(now + after.unwrap_or(pause))
        };
    }

    fn die(&mut self, code: String, detail: String) {
        self.error = Some(Answered { status: 422, code, detail });
        self.standing = Standing::Ended(State::Dead);
    }

    /// What a wait for this job is told, once it has ended.
    fn ended(&self) -> Option<Value> {
        let Standing::Ended(state) = self.standing else { return None };
        let result: Value = self.result.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        Some(serde_json::json!({"state": state, "result": result}))
    }
}
