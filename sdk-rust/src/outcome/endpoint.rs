//! What concerns the endpoint, and not only the job.

use std::{fmt, time::Duration};

/// The function is at its limit, as 429 says: the endpoint's open requests become fewer, and the job is asked again later
/// without using an attempt, for a day at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Throttle {
    pub(crate) message: String,
    pub(crate) after: Option<Duration>,
}

impl Throttle {
    /// When the server thinks right.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not before this long from now: 1 s to 24 h, clamped to that.
    pub fn after(after: Duration) -> Self {
        Self { after: Some(after), ..Self::default() }
    }

    /// Why, for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "throttled {}", self.message)
    }
}

impl std::error::Error for Throttle {}

/// The endpoint is gone for good, as 410 says: the job is dead, and after five such jobs the endpoint is paused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retire {
    pub(crate) message: String,
}

impl Retire {
    /// For this reason: for people.
    pub fn because(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Retire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retired: {}", self.message)
    }
}

impl std::error::Error for Retire {}
