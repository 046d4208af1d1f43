//! A POST that brought no answer → what it means.

use posthaste_engine::lifecycle::{Outcome, RunError};

use super::{Reading, Verdict};
use crate::egress::{Class, SendError};

/// What an endpoint wants where nobody knows whether its function ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnknown {
    /// Run it again; counted.
    #[default]
    Retry,
    /// It may still call back: wait for that.
    Wait,
    /// Do not risk running it twice.
    Fail,
}

/// What a POST without an answer means for its job and its endpoint.
pub fn from_send_error(error: &SendError, on_unknown: OnUnknown) -> (Reading, Verdict) {
    let run_error = RunError::new(error.code, error.message.as_str());
    match error.class {
        Class::NotSent => (Reading::Ended(Outcome::NotSent { error: run_error }), Verdict::NotSent),
        Class::Unknown => (unknown(run_error, on_unknown), Verdict::Unknown),
    }
}

/// What a run comes to of which nobody knows whether its function ran.
pub fn unknown(error: RunError, on_unknown: OnUnknown) -> Reading {
    match on_unknown {
        OnUnknown::Retry => Reading::Ended(Outcome::Unknown { error, fail: false }),
        OnUnknown::Fail => Reading::Ended(Outcome::Unknown { error, fail: true }),
        OnUnknown::Wait => Reading::Unknown(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(class: Class) -> SendError {
        SendError { class, code: "reset", message: "gone".to_owned() }
    }

    #[test]
    fn what_was_never_sent_is_not_unknown_whatever_the_endpoint_wants() {
        for on_unknown in [OnUnknown::Retry, OnUnknown::Wait, OnUnknown::Fail] {
            let (Reading::Ended(outcome), Verdict::NotSent) = from_send_error(&lost(Class::NotSent), on_unknown) else {
                panic!("{on_unknown:?} does not matter");
            };
            assert_eq!(outcome, Outcome::NotSent { error: RunError::new("reset", "gone") });
        }
    }

    #[test]
    fn the_endpoint_says_what_becomes_of_the_unknown() {
        let error = || RunError::new("reset", "gone");
        for (on_unknown, expected) in
            [(OnUnknown::Retry, Some(false)), (OnUnknown::Fail, Some(true)), (OnUnknown::Wait, None)]
        {
            let (reading, verdict) = from_send_error(&lost(Class::Unknown), on_unknown);
            assert_eq!(verdict, Verdict::Unknown);
            match (reading, expected) {
                (Reading::Ended(outcome), Some(fail)) => assert_eq!(outcome, Outcome::Unknown { error: error(), fail }),
                (Reading::Unknown(told), None) => assert_eq!(told, error()),
                (other, _) => panic!("{on_unknown:?}: {other:?}"),
            }
        }
    }
}
