//! Waits: how long a function that answered 202 has, and what it means when nothing came.

use std::time::Duration;

use posthaste_protocol::accepted::Accepted;

use super::RunError;

/// The longest that anything may take: 30 days.
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// What a job says of its time for a callback, `callback.timeout_ms` as text. Producers that write SQL may say anything: what
/// is no whole number of milliseconds from 1 to 30 days is ignored.
pub fn of_job(timeout_ms: Option<&str>) -> Option<Duration> {
    let said = timeout_ms?.parse().map(Duration::from_millis).ok()?;
    Some(said).filter(|said| !said.is_zero() && *said <= LONGEST)
}

/// How long a parked run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimes {
    /// Until the callback, or a heartbeat, must have come.
    pub callback: Duration,
    /// How long the function may be silent, if it said so: then this, not `callback`, is the time-out.
    pub heartbeat: Option<Duration>,
    /// Since the claim; no heartbeat moves the deadline past it.
    pub max_run: Duration,
}

impl WaitTimes {
    /// What a 202 asked for, over what its endpoint gives.
    pub fn of(accepted: Accepted, callback: Duration, max_run: Duration) -> Self {
        let asked = |ms: Option<u64>| ms.map(Duration::from_millis).map(|asked| asked.min(LONGEST));
        let callback = asked(accepted.callback_timeout_ms).unwrap_or(callback);
        Self { heartbeat: asked(accepted.heartbeat_timeout_ms), ..Self::of_suspension(callback, max_run) }
    }

    /// What a suspended run has: `callback` for each of its waits that says nothing else.
    pub fn of_suspension(callback: Duration, max_run: Duration) -> Self {
        Self { callback: callback.min(LONGEST), heartbeat: None, max_run: max_run.min(LONGEST) }
    }
}

/// Which time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOut {
    /// No callback came.
    Callback,
    /// No heartbeat came.
    Heartbeat,
    /// The run took longer than `max_run_ms`, heartbeats or not.
    Run,
}

impl TimeOut {
    /// Why the run failed.
    pub fn error(self) -> RunError {
        match self {
            Self::Callback => RunError::new("callback_timeout", "no callback came in time"),
            Self::Heartbeat => RunError::new("heartbeat_timeout", "no heartbeat came in time"),
            Self::Run => RunError::new("run_timeout", "the run took longer than the endpoint's max_run_ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn what_a_202_leaves_out_is_its_endpoint_s() {
        let times = WaitTimes::of(Accepted::default(), HOUR, 2 * HOUR);
        assert_eq!(times, WaitTimes { callback: HOUR, heartbeat: None, max_run: 2 * HOUR });
        let asked = Accepted { callback_timeout_ms: Some(5), heartbeat_timeout_ms: Some(7) };
        let times = WaitTimes::of(asked, HOUR, 2 * HOUR);
        assert_eq!((times.callback.as_millis(), times.heartbeat), (5, Some(Duration::from_millis(7))));
    }

    #[test]
    fn what_a_job_says_counts_where_it_makes_sense() {
        assert_eq!(of_job(Some("3600000")), Some(HOUR));
        for said in [None, Some("0"), Some("-1"), Some("soon"), Some("1.5"), Some("2592000001")] {
            assert_eq!(of_job(said), None, "{said:?}");
        }
    }

    #[test]
    fn nothing_takes_longer_than_thirty_days() {
        let asked = Accepted { callback_timeout_ms: Some(u64::MAX), heartbeat_timeout_ms: Some(u64::MAX) };
        let times = WaitTimes::of(asked, HOUR, Duration::MAX);
        assert_eq!(times, WaitTimes { callback: LONGEST, heartbeat: Some(LONGEST), max_run: LONGEST });
    }
}
