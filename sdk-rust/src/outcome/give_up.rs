//! Never again: dead, or cancelled.

use std::fmt;

/// Trying again would not help: the job is dead, and a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    pub(crate) message: String,
    pub(crate) code: Option<String>,
}

impl Fail {
    /// For this reason: for people, at most 2 KiB of it are kept.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None }
    }

    /// The stable code that the dead letter has as its reason: 1 to 64 of `A–Z a–z 0–9 _ . -`.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fail {}

/// The job is no longer wanted: it is cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancel {
    pub(crate) reason: Option<String>,
}

impl Cancel {
    /// Without a reason.
    pub fn new() -> Self {
        Self::default()
    }

    /// For this reason: for people.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()) }
    }
}

impl fmt::Display for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_deref().unwrap_or("cancelled"))
    }
}

impl std::error::Error for Cancel {}
