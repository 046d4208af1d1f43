//! What a handler's run comes to.

mod accepted;
mod completed;
mod endpoint;
mod give_up;
mod later;
mod suspend;
mod wait;

use serde::Serialize;

pub use accepted::Accepted;
pub use completed::Completed;
pub use endpoint::{Retire, Throttle};
pub use give_up::{Cancel, Fail};
pub use later::{Retry, Snooze};
pub use suspend::Suspend;
pub(crate) use suspend::Written as WrittenSuspension;
pub use wait::{Wait, WaitFor};

/// What a handler's run comes to. A handler returns any of these as its value, or as its error.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The job is done.
    Completed(Completed),
    /// The function will call back.
    Accepted(Accepted),
    /// The function is to be POSTed again when something has happened.
    Suspend(Suspend),
    /// Ask again later; no attempt is used.
    Snooze(Snooze),
    /// The attempt failed; try again.
    Retry(Retry),
    /// Give up: the job is dead.
    Fail(Fail),
    /// The job is cancelled.
    Cancel(Cancel),
    /// The function is at its limit: the endpoint gets less, and the job is asked again later; no attempt is used.
    Throttle(Throttle),
    /// The endpoint is retired: the job is dead, and the endpoint is paused after five such.
    Retire(Retire),
}

impl Outcome {
    /// Done, with this result: any value of serde.
    pub fn completed(result: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::Completed(Completed::with(result)?))
    }
}

/// What a handler may return in `Ok`: every outcome, and the result itself, which is any value of serde. `()` is done
/// without a result.
pub trait IntoOutcome: sealed::Sealed {
    /// The outcome that it is.
    fn into_outcome(self) -> Outcome;
}

impl<T: Serialize> IntoOutcome for T {
    /// A result that is no JSON gives up: the work is done, and doing it again would not help.
    fn into_outcome(self) -> Outcome {
        let no_json = |error: serde_json::Error| Fail::new(format!("the result is no JSON: {error}"));
        Outcome::completed(&self).unwrap_or_else(|error| no_json(error).code("result_not_json").into())
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

macro_rules! outcomes {
    ($($outcome:ident),+) => {
        $(
            impl From<$outcome> for Outcome {
                fn from(outcome: $outcome) -> Self {
                    Self::$outcome(outcome)
                }
            }

            impl IntoOutcome for $outcome {
                fn into_outcome(self) -> Outcome {
                    self.into()
                }
            }

            impl sealed::Sealed for $outcome {}
        )+
    };
}
outcomes!(Completed, Accepted, Suspend, Snooze, Retry, Fail, Cancel, Throttle, Retire);

mod sealed {
    /// Outcomes are a closed list.
    pub trait Sealed {}
    impl<T: serde::Serialize> Sealed for T {}
    impl Sealed for super::Outcome {}
}
