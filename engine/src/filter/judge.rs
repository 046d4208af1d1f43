//! What a filter makes of an input.

use crate::lifecycle::RunError;

use super::evaluator::Evaluator;
use super::input::Input;
use super::meter::Stop;
use super::node::Node;
use super::spec::DefaultAction;
use super::{Filter, json};

/// What a webhook means for the wait it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The work is done.
    Complete {
        /// What `transform` made: JSON text of at most 1 MiB, nested at most 64 deep. `None` means that the payload is
        /// the result, byte for byte.
        transformed: Option<String>,
    },
    /// The work failed.
    Fail {
        /// Code `callback_failed`; the message says what decided.
        error: RunError,
    },
    /// It is not meant for this wait.
    Ignore,
    /// Nobody knows: an expression does not fit what came. To be stored and looked at, never to be taken for a match.
    Quarantine {
        /// Code `cel_failed` where an expression failed, `cel_limit` where it reached a bound; the message names the
        /// expression, and holds no value of the input.
        reason: RunError,
    },
}

/// Decides: `filter` false ignores; then `on_fail` true fails; then `on_complete` true completes; else
/// `default_action`. Whatever completes is transformed.
///
/// An expression that is not there passes, matches nothing, changes nothing. One that fails quarantines, or counts as
/// not there if the filter says `fail_open`; one that reaches a bound always quarantines, since whoever sends the
/// payload can make it. Takes some milliseconds at worst ([`super::MAX_STEPS`]), a microsecond as a rule.
pub fn evaluate<'a>(filter: &'a Filter, input: &Input<'a>) -> Verdict {
    let mut deciding = Deciding { filter, evaluator: Evaluator::new(*input) };
    match deciding.decide() {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::Quarantine { reason },
    }
}

struct Deciding<'a> {
    filter: &'a Filter,
    evaluator: Evaluator<'a>,
}

impl<'a> Deciding<'a> {
    fn decide(&mut self) -> Result<Verdict, RunError> {
        let compiled = &self.filter.0;
        if self.flag("filter", compiled.filter.as_ref())? == Some(false) {
            return Ok(Verdict::Ignore);
        }
        if self.flag("on_fail", compiled.on_fail.as_ref())? == Some(true) {
            return Ok(failed("on_fail is true"));
        }
        if self.flag("on_complete", compiled.on_complete.as_ref())? == Some(true) {
            return self.complete();
        }
        match compiled.default_action {
            DefaultAction::Complete => self.complete(),
            DefaultAction::Fail => Ok(failed("default_action is fail, and no expression decided otherwise")),
            DefaultAction::Ignore => Ok(Verdict::Ignore),
        }
    }

    fn complete(&mut self) -> Result<Verdict, RunError> {
        let transformed = match &self.filter.0.transform {
            None => None,
            Some(node) => {
                let text = self.evaluator.value(node).and_then(json::text);
                self.settle("transform", text)?
            }
        };
        Ok(Verdict::Complete { transformed })
    }

    /// What a condition says; `None` if it is not there, or failed and may.
    fn flag(&mut self, name: &str, node: Option<&'a Node>) -> Result<Option<bool>, RunError> {
        match node {
            None => Ok(None),
            Some(node) => {
                let flag = self.evaluator.condition(node);
                self.settle(name, flag)
            }
        }
    }

    fn settle<T>(&self, name: &str, value: Result<T, Stop>) -> Result<Option<T>, RunError> {
        match value {
            Ok(value) => Ok(Some(value)),
            Err(Stop::Failed(_)) if self.filter.0.fail_open => Ok(None),
            Err(Stop::Failed(message)) => Err(RunError::new("cel_failed", format!("{name}: {message}"))),
            Err(Stop::Exhausted(message)) => Err(RunError::new("cel_limit", format!("{name}: {message}"))),
        }
    }
}

fn failed(message: &str) -> Verdict {
    Verdict::Fail { error: RunError::new("callback_failed", message) }
}
