//! The function will call back.

use std::{fmt, time::Duration};

/// The work goes on elsewhere, and somebody will call back with the run's token. On the wire: 202. The job waits
/// without holding anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    pub(crate) callback_timeout: Option<Duration>,
    pub(crate) heartbeat_timeout: Option<Duration>,
}

impl Accepted {
    /// With the time-outs of the job, else of its endpoint.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long until the callback must have come: 1 ms to 30 days.
    #[must_use]
    pub fn callback_timeout(mut self, timeout: Duration) -> Self {
        self.callback_timeout = Some(timeout);
        self
    }

    /// How long the function may be silent: 1 ms to 30 days. A heartbeat gives it as long again.
    #[must_use]
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.heartbeat_timeout = Some(timeout);
        self
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("accepted: a callback will come")
    }
}

impl std::error::Error for Accepted {}
