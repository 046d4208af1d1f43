//! The words of the answer table, and which status means which.

use std::{fmt, str::FromStr};

/// What an answer means for its job. The words of an endpoint's `status_map`.
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

/// A word that no status can be mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of complete, retry, throttle, fail, misconfigured, retire, snooze, cancel")]
pub struct UnknownMeaning;

impl Meaning {
    const ALL: [Self; 8] = [
        Self::Complete,
        Self::Retry,
        Self::Throttle,
        Self::Fail,
        Self::Misconfigured,
        Self::Retire,
        Self::Snooze,
        Self::Cancel,
    ];

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

    /// The word in an endpoint's definition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Retry => "retry",
            Self::Throttle => "throttle",
            Self::Fail => "fail",
            Self::Misconfigured => "misconfigured",
            Self::Retire => "retire",
            Self::Snooze => "snooze",
            Self::Cancel => "cancel",
        }
    }
}

impl FromStr for Meaning {
    type Err = UnknownMeaning;

    fn from_str(word: &str) -> Result<Self, UnknownMeaning> {
        Self::ALL.into_iter().find(|meaning| meaning.as_str() == word).ok_or(UnknownMeaning)
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for meaning in Meaning::ALL {
            assert_eq!(meaning.as_str().parse(), Ok(meaning));
        }
        assert_eq!("Retry".parse::<Meaning>(), Err(UnknownMeaning));
    }
}
