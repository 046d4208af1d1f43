//! Not now: asked again later, or tried again.

use std::{fmt, time::Duration};

/// Not yet: the job is asked again later, and no attempt is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snooze {
    pub(crate) after: Option<Duration>,
}

impl Snooze {
    /// In a minute.
    pub fn new() -> Self {
        Self::default()
    }

    /// After this long: 1 s to 24 h, clamped to that.
    pub fn after(after: Duration) -> Self {
        Self { after: Some(after) }
    }
}

impl fmt::Display for Snooze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => write!(f, "snoozed for {after:?}"),
            None => f.write_str("snoozed"),
        }
    }
}

impl std::error::Error for Snooze {}

/// The attempt failed: it is tried again by the endpoint's policy, and an attempt is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub(crate) message: String,
    pub(crate) code: String,
    pub(crate) after: Option<Duration>,
}

impl Retry {
    /// Failed for this reason: for people, at most 2 KiB of it are kept.
    pub fn new(message: impl Into<String>) -> Self {
        // The status alone would read as a crash.
        Self { message: message.into(), code: "retry".to_owned(), after: None }
    }

    /// The error's stable code, for programs: 1 to 64 of `A–Z a–z 0–9 _ . -`. Without one, or with
    /// another, it is `retry`.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// Not before this long from now: 1 s to 24 h, clamped to that.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Retry {}
