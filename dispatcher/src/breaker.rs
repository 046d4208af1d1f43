//! What the answers of an endpoint say about it: its breaker, its adaptive limit, its retirement. Pure.
//!
//! A consequence for the whole endpoint needs five different jobs and no success between them; until then an
//! answer counts against its own job only. Time is a parameter.

use std::time::{Duration, Instant};

use posthaste_protocol::endpoint::Breaker as Settings;

use crate::outcome::Verdict;

/// Different jobs that must agree before the whole endpoint pays.
const WITNESSES: usize = 5;
/// Slices of the breaker's window.
const SLICES: usize = 10;
/// The limit is not shrunk twice within this time: the answers in flight tell the same story.
const SHRINK_PAUSE: Duration = Duration::from_secs(1);
/// So many answers in a row that were 202 make an endpoint one whose functions call back.
const ACCEPTS: u32 = 3;
/// How long a success vouches that others of the endpoint succeed.
const SUCCESS_VOUCHES: Duration = Duration::from_mins(10);

/// Whether the breaker lets dispatches through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything passes.
    Closed,
    /// Nothing passes until then.
    Open(Instant),
    /// One probe passes.
    HalfOpen,
}

impl State {
    /// The word in metrics, heartbeats and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What an answer means for the whole endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    None,
    /// The breaker opened.
    Opened,
    /// The breaker closed.
    Closed,
    /// The adaptive limit shrank to this.
    Shrunk(usize),
    /// Five jobs were told 410: pause the endpoint.
    Retired,
}

/// Different jobs that said the same since the last success.
#[derive(Debug, Default)]
struct Witnesses {
    jobs: Vec<i64>,
}

impl Witnesses {
    /// Adds a job; true when enough agree.
    fn add(&mut self, job_id: i64) -> bool {
        if self.jobs.len() < WITNESSES && !self.jobs.contains(&job_id) {
            self.jobs.push(job_id);
        }
        self.jobs.len() >= WITNESSES
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    index: u64,
    total: u64,
    failed: u64,
}

/// The health of one endpoint, as this dispatcher sees it.
#[derive(Debug)]
pub struct EndpointHealth {
    settings: Settings,
    concurrency: usize,
    limit: f64,
    state: State,
    epoch: Instant,
    slices: [Slice; SLICES],
    failing: Witnesses,
    throttled: Witnesses,
    retired: Witnesses,
    misconfigured: Witnesses,
    shrunk_at: Option<Instant>,
    success_at: Option<Instant>,
    /// Jobs in a row that were accepted and not done at once.
    accepted: u32,
}

impl EndpointHealth {
    /// A healthy endpoint with these settings.
    pub fn new(settings: Settings, concurrency: usize, now: Instant) -> Self {
        Self {
            settings,
            concurrency,
            limit: as_limit(concurrency),
            state: State::Closed,
            epoch: now,
            slices: [Slice::default(); SLICES],
            failing: Witnesses::default(),
            throttled: Witnesses::default(),
            retired: Witnesses::default(),
            misconfigured: Witnesses::default(),
            shrunk_at: None,
            success_at: None,
            accepted: 0,
        }
    }

    /// Takes over changed settings; what is known of the endpoint stays.
    pub fn configure(&mut self, settings: Settings, concurrency: usize) {
        self.settings = settings;
        if self.concurrency != concurrency {
            self.concurrency = concurrency;
            self.limit = as_limit(concurrency);
        }
    }

    /// The breaker's state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether the last answers of five jobs said that the endpoint itself is wrong.
    pub fn is_misconfigured(&self) -> bool {
        self.misconfigured.jobs.len() >= WITNESSES
    }

    /// Whether another job of this endpoint succeeded lately.
    pub fn others_succeed(&self, now: Instant) -> bool {
        self.success_at.is_some_and(|at| now.saturating_duration_since(at) < SUCCESS_VOUCHES)
    }

    /// Whether the last jobs that it took were all accepted with a 202.
    pub const fn accepts(&self) -> bool {
        self.accepted >= ACCEPTS
    }

    /// Remembers whether it accepted a job that it took, or was done with it at once.
    pub const fn took_job(&mut self, accepted: bool) {
        self.accepted = if accepted { self.accepted.saturating_add(1) } else { 0 };
    }

    /// How many dispatches may be open at once now: the adaptive limit, one probe when half open, none when open.
    pub fn limit(&mut self, now: Instant) -> usize {
        if let State::Open(until) = self.state
            && now >= until
        {
            self.state = State::HalfOpen;
        }
        match self.state {
            State::Open(_) => 0,
            State::HalfOpen => 1,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10,000")]
            State::Closed => (self.limit as usize).clamp(1, self.concurrency),
        }
    }

    /// Learns from one answer.
    pub fn record(&mut self, verdict: Verdict, job_id: i64, now: Instant) -> Consequence {
        match verdict {
            Verdict::Success | Verdict::Neutral => self.succeed(verdict, now),
            Verdict::Throttled => self.throttle(job_id, now),
            Verdict::Retired if self.retired.add(job_id) => {
                self.retired = Witnesses::default();
                Consequence::Retired
            }
            Verdict::Retired => Consequence::None,
            Verdict::Misconfigured => {
                self.misconfigured.add(job_id);
                self.fail(job_id, now)
            }
            Verdict::Failure5xx | Verdict::NotSent | Verdict::Unknown => self.fail(job_id, now),
        }
    }

    fn succeed(&mut self, verdict: Verdict, now: Instant) -> Consequence {
        self.count(now, false);
        self.failing.jobs.clear();
        self.retired.jobs.clear();
        self.misconfigured.jobs.clear();
        self.throttled.jobs.clear();
        if verdict == Verdict::Success {
            self.success_at = Some(now);
            // One more after each full round of successes.
            self.limit = (self.limit + 1.0 / self.limit.max(1.0)).min(as_limit(self.concurrency));
        }
        if self.state == State::Closed {
            return Consequence::None;
        }
        self.state = State::Closed;
        self.slices = [Slice::default(); SLICES];
        Consequence::Closed
    }

    fn throttle(&mut self, job_id: i64, now: Instant) -> Consequence {
        // A probe that is throttled proves nothing about the failure: ask again.
        if self.state == State::HalfOpen {
            return self.open(now);
        }
        let rested = self.shrunk_at.is_none_or(|at| now.saturating_duration_since(at) >= SHRINK_PAUSE);
        if !self.throttled.add(job_id) || !rested {
            return Consequence::None;
        }
        self.throttled.jobs.clear();
        self.shrunk_at = Some(now);
        self.limit = (self.limit / 2.0).max(1.0);
        Consequence::Shrunk(self.limit(now))
    }

    fn fail(&mut self, job_id: i64, now: Instant) -> Consequence {
        self.count(now, true);
        let agreed = self.failing.add(job_id);
        match self.state {
            State::HalfOpen => self.open(now),
            State::Closed if agreed && self.trips(now) => self.open(now),
            _ => Consequence::None,
        }
    }

    fn open(&mut self, now: Instant) -> Consequence {
        self.state = State::Open(now + Duration::from_millis(self.settings.probe_after_ms));
        Consequence::Opened
    }

    fn count(&mut self, now: Instant, failed: bool) {
        let index = self.slice_index(now);
        let slice = &mut self.slices[usize::try_from(index % SLICES as u64).unwrap_or(0)];
        if slice.index != index {
            *slice = Slice { index, total: 0, failed: 0 };
        }
        slice.total += 1;
        slice.failed += u64::from(failed);
    }

    fn trips(&self, now: Instant) -> bool {
        let newest = self.slice_index(now);
        let recent = self.slices.iter().filter(|slice| newest - slice.index.min(newest) < SLICES as u64);
        let (total, failed) = recent.fold((0, 0), |(total, failed), s| (total + s.total, failed + s.failed));
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts of some seconds")]
        let ratio = failed as f64 / (total.max(1)) as f64;
        total >= self.settings.min && ratio >= self.settings.ratio
    }

    fn slice_index(&self, now: Instant) -> u64 {
        let slice_ms = (self.settings.window_s * 1000 / SLICES as u64).max(1);
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        // From 1 on, so that the empty slices at index 0 are of no window.
        u64::try_from(elapsed).unwrap_or(u64::MAX) / slice_ms + SLICES as u64
    }
}

#[expect(clippy::cast_precision_loss, reason = "1 to 10,000")]
fn as_limit(concurrency: usize) -> f64 {
    concurrency as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> (EndpointHealth, Instant) {
        let now = Instant::now();
        let settings = Settings { window_s: 30, min: 10, ratio: 0.5, probe_after_ms: 5000 };
        (EndpointHealth::new(settings, 64, now), now)
    }

    #[test]
    fn one_poison_job_never_opens_the_breaker() {
        let (mut health, now) = endpoint();
        for _ in 0..1000 {
            assert_eq!(health.record(Verdict::Failure5xx, 7, now), Consequence::None);
        }
        assert_eq!(health.state(), State::Closed);
    }

    #[test]
    fn five_failing_jobs_without_a_success_open_it_and_a_probe_closes_it() {
        let (mut health, now) = endpoint();
        let opened = (1..=10).map(|job| health.record(Verdict::NotSent, job, now)).last();
        assert_eq!(opened, Some(Consequence::Opened));
        assert_eq!(health.limit(now), 0);
        let later = now + Duration::from_secs(6);
        assert_eq!(health.limit(later), 1, "half open: one probe");
        assert_eq!(health.record(Verdict::Success, 11, later), Consequence::Closed);
        assert_eq!(health.limit(later), 64);
    }

    #[test]
    fn a_failed_probe_opens_it_again() {
        let (mut health, now) = endpoint();
        for job in 1..=10 {
            health.record(Verdict::Unknown, job, now);
        }
        let later = now + Duration::from_secs(6);
        health.limit(later);
        assert_eq!(health.record(Verdict::Failure5xx, 11, later), Consequence::Opened);
        assert_eq!(health.limit(later), 0);
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let (mut health, now) = endpoint();
        for round in 0..50 {
            for job in 0..4 {
                health.record(Verdict::Failure5xx, round * 10 + job, now);
            }
            health.record(Verdict::Success, round * 10 + 9, now);
        }
        assert_eq!(health.state(), State::Closed);
    }

    #[test]
    fn an_endpoint_whose_last_answers_were_202_is_one_that_calls_back() {
        let (mut health, _) = endpoint();
        for (accepted, accepts) in [(true, false), (true, false), (true, true), (true, true), (false, false)] {
            health.took_job(accepted);
            assert_eq!(health.accepts(), accepts);
        }
    }

    #[test]
    fn failures_that_left_the_window_do_not_count() {
        let (mut health, now) = endpoint();
        for job in 1..=9 {
            health.record(Verdict::Failure5xx, job, now);
        }
        let later = now + Duration::from_secs(40);
        assert_eq!(health.record(Verdict::Failure5xx, 10, later), Consequence::None);
    }

    #[test]
    fn throttles_of_five_jobs_halve_the_limit_once_a_second_and_successes_grow_it_back() {
        let (mut health, now) = endpoint();
        for job in 1..=4 {
            assert_eq!(health.record(Verdict::Throttled, job, now), Consequence::None);
        }
        assert_eq!(health.record(Verdict::Throttled, 5, now), Consequence::Shrunk(32));
        for job in 10..=30 {
            assert_eq!(health.record(Verdict::Throttled, job, now), Consequence::None);
        }
        for job in 0..10_000 {
            health.record(Verdict::Success, job, now);
        }
        assert_eq!(health.limit(now), 64);
    }

    #[test]
    fn five_jobs_told_410_retire_the_endpoint_one_does_not() {
        let (mut health, now) = endpoint();
        for _ in 0..9 {
            assert_eq!(health.record(Verdict::Retired, 1, now), Consequence::None);
        }
        let last = (2..=5).map(|job| health.record(Verdict::Retired, job, now)).last();
        assert_eq!(last, Some(Consequence::Retired));
    }
}
