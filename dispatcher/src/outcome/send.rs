//! A POST that brought no answer → what it means.

use posthaste_engine::lifecycle::{Outcome, RunError};

use super::Verdict;
use crate::egress::{Class, SendError};

/// What an endpoint wants where nobody knows whether its function ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnknown {
    /// Run it again; counted.
    #[default]
    Retry,
    /// It may still call back. Without a gateway nothing can, so this is `Retry` until there is one.
    Wait,
    /// Do not risk running it twice.
    Fail,
}

/// What a POST without an answer means for its job and its endpoint.
pub fn from_send_error(error: &SendError, on_unknown: OnUnknown) -> (Outcome, Verdict) {
    let run_error = RunError::new(error.code, error.message.as_str());
    match error.class {
        Class::NotSent => (Outcome::NotSent { error: run_error }, Verdict::NotSent),
        Class::Unknown => {
            (Outcome::Unknown { error: run_error, fail: on_unknown == OnUnknown::Fail }, Verdict::Unknown)
        }
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
            let (outcome, verdict) = from_send_error(&lost(Class::NotSent), on_unknown);
            assert_eq!(outcome, Outcome::NotSent { error: RunError::new("reset", "gone") });
            assert_eq!(verdict, Verdict::NotSent);
        }
    }

    #[test]
    fn only_an_endpoint_that_says_fail_gives_up_on_the_unknown() {
        for (on_unknown, fail) in [(OnUnknown::Retry, false), (OnUnknown::Wait, false), (OnUnknown::Fail, true)] {
            let (outcome, verdict) = from_send_error(&lost(Class::Unknown), on_unknown);
            assert_eq!(outcome, Outcome::Unknown { error: RunError::new("reset", "gone"), fail });
            assert_eq!(verdict, Verdict::Unknown);
        }
    }
}
