//! Limits: how often one peer may present bad tokens, and how often one job may be called back.
//!
//! Each limit is a fixed number of buckets, and whoever is counted falls into one by a keyed hash: memory never grows, and
//! nobody chooses whose bucket they share.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::SocketAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use posthaste_protocol::id::JobId;
use posthaste_service::peer::network;

/// Buckets of each limit, some tens of bytes each.
const BUCKETS: usize = 8192;
/// Bad tokens of one peer: a second, and at once.
const BAD_TOKENS: (u32, u32) = (20, 100);
/// Callbacks of one job: a second, and at once.
const CALLBACKS: (u32, u32) = (50, 500);
/// What is logged of strangers, a minute: they must not push out what else the logs have.
const LOGGED_STRANGERS: u32 = 10;
/// How long a peer that was refused is remembered.
const REMEMBERED_MS: u64 = 1000;

/// The limits of one gateway.
pub struct Limits {
    bad_tokens: Buckets,
    callbacks: Buckets,
    logged: DefaultDirectRateLimiter,
}

impl Limits {
    /// Nothing used up.
    pub fn new() -> Self {
        let logged = Quota::per_minute(NonZeroU32::new(LOGGED_STRANGERS).unwrap_or(NonZeroU32::MIN));
        Self {
            bad_tokens: Buckets::new(BAD_TOKENS),
            callbacks: Buckets::new(CALLBACKS),
            logged: RateLimiter::direct(logged),
        }
    }

    /// Counts a bad token. False: this peer has shown too many. Never asked for good ones, which may come from the same
    /// proxy.
    pub fn admits_bad_token(&self, peer: Option<SocketAddr>) -> bool {
        self.bad_tokens.admits(peer.map(|peer| network(peer.ip())))
    }

    /// This peer has shown too many bad tokens or signatures a moment ago. It may be a proxy: what it sends is taken with
    /// caution, and not refused.
    pub fn suspects(&self, peer: Option<SocketAddr>) -> bool {
        self.bad_tokens.has_refused(peer.map(|peer| network(peer.ip())))
    }

    /// Counts what a stranger caused. False: the logs have enough of that.
    pub fn logs_stranger(&self) -> bool {
        self.logged.check().is_ok()
    }

    /// Counts a callback. False: its job has had too many.
    pub fn admits_callback(&self, job: JobId) -> bool {
        self.callbacks.admits(job)
    }
}

/// Rate limiters that many share.
struct Buckets {
    seed: RandomState,
    all: Box<[Bucket]>,
    began: Instant,
}

struct Bucket {
    limiter: DefaultDirectRateLimiter,
    /// When it last refused, in ms after the beginning; 0 for never.
    refused: AtomicU64,
}

impl Buckets {
    fn new((per_second, burst): (u32, u32)) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        let bucket = |_| Bucket { limiter: RateLimiter::direct(quota), refused: AtomicU64::new(0) };
        Self { seed: RandomState::new(), all: (0..BUCKETS).map(bucket).collect(), began: Instant::now() }
    }

    fn admits(&self, who: impl Hash) -> bool {
        let Some(bucket) = self.of(who) else { return true };
        let admits = bucket.limiter.check().is_ok();
        if !admits {
            bucket.refused.store(self.now_ms(), Ordering::Relaxed);
        }
        admits
    }

    fn has_refused(&self, who: impl Hash) -> bool {
        let refused = self.of(who).map_or(0, |bucket| bucket.refused.load(Ordering::Relaxed));
        refused > 0 && self.now_ms().saturating_sub(refused) < REMEMBERED_MS
    }

    fn of(&self, who: impl Hash) -> Option<&Bucket> {
        let bucket = usize::try_from(self.seed.hash_one(who) % BUCKETS as u64).unwrap_or_default();
        self.all.get(bucket)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(limits: &Limits, peer: &str) -> bool {
        limits.admits_bad_token(Some(SocketAddr::new(peer.parse().unwrap(), 9)))
    }

    #[test]
    fn one_peer_s_bad_tokens_are_limited_and_another_s_are_not() {
        let limits = Limits::new();
        let admitted = (0..200).filter(|_| admits(&limits, "192.0.2.1")).count();
        assert!((100..150).contains(&admitted), "{admitted}");
        let suspects = |peer: &str| limits.suspects(Some(SocketAddr::new(peer.parse().unwrap(), 9)));
        assert!(suspects("192.0.2.1") && !suspects("192.0.2.9"));
        // Each of the others shares its bucket only once in thousands.
        let others = (2..22).filter(|n| admits(&limits, &format!("192.0.2.{n}"))).count();
        assert!(others >= 18, "{others}");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_peer() {
        assert_eq!(network("2001:db8::1".parse().unwrap()), network("2001:db8::ffff".parse().unwrap()));
        assert_ne!(network("2001:db8::1".parse().unwrap()), network("2001:db8:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1".parse().unwrap()));
        assert_ne!(network("192.0.2.1".parse().unwrap()), network("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn a_job_may_be_called_back_often_but_not_without_end() {
        let limits = Limits::new();
        let admitted = (0..2000).filter(|_| limits.admits_callback(JobId(1))).count();
        assert!((500..700).contains(&admitted), "{admitted}");
    }
}
