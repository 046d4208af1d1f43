//! Permits, holds and slots: how much may be claimed, and how much may be open at an endpoint.
//!
//! A *permit* of the process is taken before a claim and given back when the end of its run is durable. A *hold* counts
//! a claimed run against its endpoint until its POST has ended. A *slot* is one open POST: an endpoint never has more
//! of them than its concurrency. Fast endpoints are claimed a little ahead of their slots, so that none is idle while a
//! claim is under way; what is claimed ahead is what is POSTed within a tenth of a second.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::breaker::{EndpointHealth, State};

/// What is claimed ahead of an endpoint's slots is POSTed within about this time.
const AHEAD: Duration = Duration::from_millis(100);
/// And is at most so many times its slots.
const AHEAD_MAX: u64 = 7;
/// What a claim and its commit take, microseconds: 4.5 to 6 ms were seen on a busy machine.
const CLAIM_TAKES_US: u64 = 5_000;

/// A claimed run that found no slot within this time goes back: a claim takes only what is POSTed at once.
const SLOT_WAIT: Duration = Duration::from_secs(1);

/// The permits of a dispatcher.
#[derive(Debug)]
pub struct Permits {
    capacity: usize,
    in_flight: AtomicUsize,
    /// Something was given back: the claimer may go on.
    pub released: Notify,
}

impl Permits {
    /// `capacity` permits.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, in_flight: AtomicUsize::new(0), released: Notify::new() })
    }

    /// Takes one. Only the claimer takes, after it looked at what is free, so that nobody takes too many.
    pub fn take(self: &Arc<Self>) -> Permit {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Permit(Arc::clone(self))
    }

    /// Permits that nobody holds.
    pub fn free(&self) -> usize {
        self.capacity.saturating_sub(self.in_flight())
    }

    /// Permits that somebody holds.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// All of them.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

/// The right to have one run in hand. Dropping it gives it back.
#[derive(Debug)]
pub struct Permit(Arc<Permits>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.0.released.notify_one();
    }
}

/// One endpoint's share: its health, its claimed runs and its open POSTs, here.
#[derive(Debug)]
pub struct Gate {
    held: AtomicUsize,
    open: AtomicUsize,
    /// Microseconds of a POST, a moving average; 0 before the first.
    latency_us: AtomicU64,
    /// When a POST last ended, milliseconds since `epoch`.
    ended_ms: AtomicU64,
    epoch: Instant,
    freed: Notify,
    health: Mutex<EndpointHealth>,
}

impl Gate {
    /// A gate over this health.
    pub fn new(health: EndpointHealth) -> Self {
        Self {
            held: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            latency_us: AtomicU64::new(0),
            ended_ms: AtomicU64::new(0),
            epoch: Instant::now(),
            freed: Notify::new(),
            health: Mutex::new(health),
        }
    }

    /// Looks at or changes the endpoint's health.
    pub fn health<T>(&self, look: impl FnOnce(&mut EndpointHealth) -> T) -> T {
        // A panic while the lock was held leaves counts that are off by one at most.
        look(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs that may be claimed for this endpoint now. What is claimed ahead never takes more than half of `capacity`,
    /// so that an endpoint which was fast and now hangs leaves permits to the others.
    pub fn room(&self, now: Instant, capacity: usize) -> usize {
        let (limit, state) = self.health(|health| (health.limit(now), health.state()));
        let ahead = if state == State::Closed { self.ahead(limit, now).min(capacity / 2) } else { 0 };
        (limit + ahead).saturating_sub(self.held())
    }

    /// Whether the runs that wait in hand keep every slot busy for as long as a claim takes.
    pub fn is_stocked(&self, now: Instant) -> bool {
        let limit = self.health(|health| health.limit(now));
        let waiting = u64::try_from(self.held().saturating_sub(limit)).unwrap_or(u64::MAX);
        let work = waiting.saturating_mul(self.latency_us.load(Ordering::Relaxed));
        work >= u64::try_from(limit).unwrap_or(u64::MAX).saturating_mul(CLAIM_TAKES_US)
    }

    /// How many more than its slots a fast endpoint takes within [`AHEAD`].
    fn ahead(&self, limit: usize, now: Instant) -> usize {
        let latency = self.latency_us.load(Ordering::Relaxed);
        let ended = self.epoch + Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        // No slot came free for a while: the average speaks of better days.
        let stalled = self.open() >= limit && now.saturating_duration_since(ended) > AHEAD;
        if latency == 0 || stalled {
            return 0;
        }
        let rounds = u64::try_from(AHEAD.as_micros()).unwrap_or(u64::MAX) / latency;
        limit * usize::try_from(rounds.min(AHEAD_MAX)).unwrap_or(0)
    }

    /// Claimed runs whose POST has not ended.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Open POSTs.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Sends those away who wait for a slot of an endpoint whose breaker has opened.
    pub fn shut(&self) {
        self.freed.notify_waiters();
    }

    /// Remembers how long a POST took.
    pub fn took(&self, latency: Duration) {
        let new = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let ended = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended_ms.store(ended, Ordering::Relaxed);
        let old = self.latency_us.load(Ordering::Relaxed);
        // A lost update costs one sample of an average.
        self.latency_us.store(if old == 0 { new } else { (old * 7 + new) / 8 }, Ordering::Relaxed);
    }

    fn try_enter(&self) -> Entry {
        let limit = self.health(|health| health.limit(Instant::now()));
        if limit == 0 {
            return Entry::Shut;
        }
        let entered =
            self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < limit).then_some(open + 1));
        if entered.is_ok() { Entry::Open } else { Entry::Full }
    }
}

enum Entry {
    Open,
    Full,
    Shut,
}

/// A claimed run's place at its endpoint, until its POST has ended.
#[derive(Debug)]
pub struct Hold {
    gate: Arc<Gate>,
    permits: Arc<Permits>,
}

impl Hold {
    /// Takes a place. Only the claimer does, for what it has claimed.
    pub fn take(gate: &Arc<Gate>, permits: &Arc<Permits>) -> Self {
        gate.held.fetch_add(1, Ordering::AcqRel);
        Self { gate: Arc::clone(gate), permits: Arc::clone(permits) }
    }

    /// Waits for a slot, for [`SLOT_WAIT`]. `None`: none came free, or the breaker opened; the run is to be given back.
    pub async fn enter(&self) -> Option<Slot> {
        tokio::time::timeout(SLOT_WAIT, self.wait()).await.ok().flatten()
    }

    async fn wait(&self) -> Option<Slot> {
        loop {
            let freed = self.gate.freed.notified();
            tokio::pin!(freed);
            // Registered before the look, so that a slot freed in between is not missed.
            freed.as_mut().enable();
            match self.gate.try_enter() {
                Entry::Open => {
                    // A limit that grew lets more than one in.
                    self.gate.freed.notify_one();
                    return Some(Slot(Arc::clone(&self.gate)));
                }
                Entry::Shut => return None,
                Entry::Full => freed.await,
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.held.fetch_sub(1, Ordering::AcqRel);
        self.permits.released.notify_one();
    }
}

/// One open POST. Dropping it lets the next one in.
#[derive(Debug)]
pub struct Slot(Arc<Gate>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}
