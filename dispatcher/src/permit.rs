//! Permits: the right to have one dispatch open, taken before a claim and given back when its end is durable.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Instant;

use tokio::sync::Notify;

use crate::breaker::EndpointHealth;

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

    /// Permits that nobody holds.
    pub fn free(&self) -> usize {
        self.capacity.saturating_sub(self.in_flight.load(Ordering::Acquire))
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

/// One endpoint's share: its health and its dispatches in flight here.
#[derive(Debug)]
pub struct Gate {
    in_flight: AtomicUsize,
    health: Mutex<EndpointHealth>,
}

impl Gate {
    /// A gate over this health.
    pub const fn new(health: EndpointHealth) -> Self {
        Self { in_flight: AtomicUsize::new(0), health: Mutex::new(health) }
    }

    /// Looks at or changes the endpoint's health.
    pub fn health<T>(&self, look: impl FnOnce(&mut EndpointHealth) -> T) -> T {
        // A panic while the lock was held leaves counts that are off by one at most.
        look(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Dispatches that this endpoint may still take now.
    pub fn free(&self, now: Instant) -> usize {
        let limit = self.health(|health| health.limit(now));
        limit.saturating_sub(self.in_flight())
    }

    /// Dispatches open now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// The right to have one dispatch of one endpoint open. Dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    gate: Arc<Gate>,
}

impl Permit {
    /// Takes one. Only the claimer takes, after it looked at what is free, so that nobody takes too many.
    pub fn take(permits: &Arc<Permits>, gate: &Arc<Gate>) -> Self {
        permits.in_flight.fetch_add(1, Ordering::AcqRel);
        gate.in_flight.fetch_add(1, Ordering::AcqRel);
        Self { permits: Arc::clone(permits), gate: Arc::clone(gate) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.permits.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.permits.released.notify_one();
    }
}
