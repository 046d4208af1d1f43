//! What a handler returns when it is not done.

use std::{error::Error as StdError, fmt};

use crate::outcome::{Accepted, Cancel, Fail, Outcome, Retire, Retry, Snooze, Suspend, Throttle};

/// What a handler returns: a result or an outcome, or an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a handler is not done: an outcome that was returned as an error, or any error. `?` makes it of every type that
/// implements [`std::error::Error`], the outcomes among them.
///
/// An error that is no outcome is a failed attempt, answered with 500 and its text, and tried again.
pub struct Error(Kind);

enum Kind {
    Outcome(Outcome),
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// An error of whatever makes a boxed one: a text, or what `?` does not take, such as an `anyhow::Error`.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Kind::of(error.into()))
    }

    /// The outcome that was returned as an error, or the error.
    pub(crate) fn into_outcome(self) -> std::result::Result<Outcome, Box<dyn StdError + Send + Sync>> {
        match self.0 {
            Kind::Outcome(outcome) => Ok(outcome),
            Kind::Other(error) => Err(error),
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl Kind {
    fn of(mut error: Box<dyn StdError + Send + Sync>) -> Self {
        macro_rules! try_outcomes {
            ($($outcome:ty),+) => {
                $(match error.downcast::<$outcome>() {
                    Ok(outcome) => return Self::Outcome((*outcome).into()),
                    Err(other) => error = other,
                })+
            };
        }
        try_outcomes!(Snooze, Retry, Fail, Cancel, Suspend, Accepted, Throttle, Retire);
        Self::Other(error)
    }
}

/// For people, with what it came from: this is what a `main` that returns an error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Outcome(outcome) => outcome.fmt(f),
            Kind::Other(error) => f.write_str(&chain(&**error)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Outcome(outcome) => write!(f, "{outcome:?}"),
            Kind::Other(error) => error.fmt(f),
        }
    }
}

/// An error and what it came from, in a line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Many errors repeat their source in their own words.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
