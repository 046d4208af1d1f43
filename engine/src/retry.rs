//! How long a job waits before it runs again: values in, a duration out.

use std::time::Duration;

use posthaste_protocol::endpoint::{Retry, RetryPolicy as Policy};

/// The longest wait any policy gives: 24 hours.
pub const MAX_BACKOFF: Duration = Duration::from_hours(24);

/// How the wait grows with the number of failures.
#[derive(Debug, Clone, PartialEq)]
pub enum RetryPolicy {
    /// `base × 2^n`, plus a jitter of at most that fraction, at most `max` in all.
    Exponential {
        /// The wait that the powers of two multiply.
        base: Duration,
        /// Upper bound, jitter included.
        max: Duration,
        /// Fraction of the wait added at random, 0–1.
        jitter: f64,
    },
    /// `base × n`, plus jitter, at most `max`.
    Linear {
        /// The wait added by each failure.
        base: Duration,
        /// Upper bound, jitter included.
        max: Duration,
        /// Fraction of the wait added at random, 0–1.
        jitter: f64,
    },
    /// Always `base`, plus jitter.
    Constant {
        /// The wait.
        base: Duration,
        /// Fraction of the wait added at random, 0–1.
        jitter: f64,
    },
    /// The n-th wait of the list, the last one for ever after.
    List {
        /// The waits, in order; an empty list waits one second.
        delays: Vec<Duration>,
    },
}

impl Default for RetryPolicy {
    /// 2^n seconds with a quarter of jitter, capped at 24 h.
    fn default() -> Self {
        Self::Exponential { base: Duration::from_secs(1), max: MAX_BACKOFF, jitter: 0.25 }
    }
}

impl From<&Retry> for RetryPolicy {
    /// As an endpoint has it.
    fn from(retry: &Retry) -> Self {
        let (base, max) = (Duration::from_millis(retry.base_ms), Duration::from_millis(retry.max_ms));
        match retry.policy {
            Policy::Exponential => Self::Exponential { base, max, jitter: retry.jitter },
            Policy::Linear => Self::Linear { base, max, jitter: retry.jitter },
            Policy::Constant => Self::Constant { base, jitter: retry.jitter },
            Policy::List => Self::List { delays: retry.delays_ms.iter().copied().map(Duration::from_millis).collect() },
        }
    }
}

/// The wait after the `failures`-th failure (1-based). `jitter` is drawn by the caller, in `[0, 1)`.
///
/// Safe for every `failures`: the exponent is clamped before it is used, and the bound leaves room
/// for the jitter, so that jobs at the cap do not all come back in the same second.
pub fn backoff(policy: &RetryPolicy, failures: u32, jitter: f64) -> Duration {
    let n = failures.max(1);
    match policy {
        RetryPolicy::Exponential { base, max, jitter: share } => {
            let factor = 2_f64.powi(i32::try_from(n.min(62)).unwrap_or(62));
            bounded(base.as_secs_f64() * factor, *max, *share, jitter)
        }
        RetryPolicy::Linear { base, max, jitter: share } => {
            bounded(base.as_secs_f64() * f64::from(n), *max, *share, jitter)
        }
        RetryPolicy::Constant { base, jitter: share } => bounded(base.as_secs_f64(), MAX_BACKOFF, *share, jitter),
        RetryPolicy::List { delays } => {
            let index = usize::try_from(n - 1).unwrap_or(usize::MAX).min(delays.len().saturating_sub(1));
            delays.get(index).copied().unwrap_or(Duration::from_secs(1)).min(MAX_BACKOFF)
        }
    }
}

/// `wait` seconds plus a jitter of at most `share` of it, never more than `max` (and 24 h) in all.
fn bounded(wait: f64, max: Duration, share: f64, jitter: f64) -> Duration {
    let share = share.clamp(0.0, 1.0);
    let cap = max.min(MAX_BACKOFF).as_secs_f64() / (1.0 + share);
    let wait = wait.min(cap);
    Duration::from_secs_f64(wait + wait * share * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_doubles_from_two_seconds() {
        let policy = RetryPolicy::default();
        for (failures, seconds) in [(1, 2), (2, 4), (3, 8), (10, 1024)] {
            assert_eq!(backoff(&policy, failures, 0.0), Duration::from_secs(seconds));
        }
        assert_eq!(backoff(&policy, 1, 1.0), Duration::from_millis(2500));
    }

    #[test]
    fn no_number_of_failures_overflows_or_passes_a_day() {
        for policy in [
            RetryPolicy::default(),
            RetryPolicy::Linear { base: Duration::from_hours(2), max: MAX_BACKOFF, jitter: 1.0 },
            RetryPolicy::Constant { base: Duration::from_hours(30), jitter: 0.5 },
            RetryPolicy::List { delays: vec![Duration::from_secs(1), Duration::from_hours(48)] },
        ] {
            for failures in [0, 1, 17, 43, 44, 64, 1000, u32::MAX] {
                for jitter in [0.0, 0.5, 0.999] {
                    let wait = backoff(&policy, failures, jitter);
                    assert!(wait <= MAX_BACKOFF, "{policy:?} after {failures}: {wait:?}");
                    assert!(wait > Duration::ZERO);
                }
            }
        }
    }

    #[test]
    fn jobs_at_the_cap_are_still_spread_by_jitter() {
        let policy = RetryPolicy::default();
        let spread = backoff(&policy, 1000, 0.999).saturating_sub(backoff(&policy, 1000, 0.0));
        assert!(spread > Duration::from_hours(4), "{spread:?}");
    }

    #[test]
    fn a_list_repeats_its_last_wait_and_an_empty_one_waits_a_second() {
        let list = RetryPolicy::List { delays: vec![Duration::from_secs(5), Duration::from_mins(1)] };
        assert_eq!(backoff(&list, 1, 0.9), Duration::from_secs(5));
        assert_eq!(backoff(&list, 2, 0.9), Duration::from_mins(1));
        assert_eq!(backoff(&list, 9, 0.9), Duration::from_mins(1));
        assert_eq!(backoff(&RetryPolicy::List { delays: vec![] }, 3, 0.0), Duration::from_secs(1));
    }
}
