//! What an answer can mean, and which status means which.

/// What an answer means for its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// Done; the body is the result.
    Complete,
    /// Failed, try again; counted.
    Retry,
    /// Overloaded; not counted.
    Throttle,
    /// Give up.
    Fail,
    /// The endpoint is wrong.
    Misconfigured,
    /// The endpoint is retired.
    Retire,
    /// Ask again later; not counted.
    Snooze,
    /// End as cancelled.
    Cancel,
}

impl Meaning {
    /// What the contract's table says about a status that nobody has mapped (202 aside, which may be a wait).
    pub const fn of_status(status: u16) -> Self {
        match status {
            // Part of a result is no result: 206 is as wrong as a redirect.
            206 | 401 | 403 | 404 | 405 => Self::Misconfigured,
            200..=299 => Self::Complete,
            410 => Self::Retire,
            429 | 503 => Self::Throttle,
            408 | 409 | 425 | 500 | 502..=599 => Self::Retry,
            400..=499 | 501 => Self::Fail,
            // 1xx, 3xx and numbers that no function sends on purpose.
            _ => Self::Misconfigured,
        }
    }
}
