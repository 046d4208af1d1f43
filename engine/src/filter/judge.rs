//! What a filter makes of an input.

use crate::lifecycle::RunError;
use posthaste_protocol::cel::DefaultAction;

use super::error::EvalError;
use super::evaluator::Evaluator;
use super::input::Input;
use super::meter::Stop;
use super::node::Node;
use super::{Filter, json};

/// What a webhook means for the wait it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The work is done.
    Complete {
        /// What `transform` made: JSON text of at most 1 MiB, nested at most 64 deep. `None` means that the payload is
        /// the result, byte for byte.
        result: Option<String>,
    },
    /// The work failed.
    Fail {
        /// Code `callback_failed`; the message says what decided.
        error: RunError,
    },
    /// It is not meant for this wait.
    Ignore,
}

impl Filter {
    /// Decides: `filter` false ignores; then `on_fail` true fails; then `on_complete` true completes; else
    /// `default_action`. Whatever completes is transformed.
    ///
    /// An expression that is not there passes, matches nothing, changes nothing. One that fails is an error, or counts
    /// as not there if the filter says `fail_open`; one that reaches a bound always is, since whoever sends the payload
    /// can make it. Takes ten milliseconds at worst ([`super::MAX_STEPS`]), a microsecond as a rule.
    pub fn judge<'a>(&'a self, input: &Input<'a>) -> Result<Verdict, EvalError> {
        Judge { filter: self, evaluator: Evaluator::new(*input) }.decide()
    }
}

struct Judge<'a> {
    filter: &'a Filter,
    evaluator: Evaluator<'a>,
}

impl<'a> Judge<'a> {
    fn decide(&mut self) -> Result<Verdict, EvalError> {
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

    fn complete(&mut self) -> Result<Verdict, EvalError> {
        let result = match &self.filter.0.transform {
            None => None,
            Some(node) => {
                let text = self.evaluator.value(node).and_then(json::text);
                self.settle("transform", text)?
            }
        };
        Ok(Verdict::Complete { result })
    }

    /// What a condition says; `None` if it is not there, or failed and may.
    fn flag(&mut self, name: &'static str, node: Option<&'a Node>) -> Result<Option<bool>, EvalError> {
        match node {
            None => Ok(None),
            Some(node) => {
                let flag = self.evaluator.condition(node);
                self.settle(name, flag)
            }
        }
    }

    fn settle<T>(&self, name: &'static str, value: Result<T, Stop>) -> Result<Option<T>, EvalError> {
        match value {
            Ok(value) => Ok(Some(value)),
            Err(Stop::Failed(_)) if self.filter.0.fail_open => Ok(None),
            Err(stop) => Err(EvalError::new(name, stop)),
        }
    }
}

fn failed(message: &str) -> Verdict {
    Verdict::Fail { error: RunError::new("callback_failed", message) }
}
