//! One expression by itself, and its value.

use std::sync::Arc;

use posthaste_protocol::cel::MAX_EXPRESSION_BYTES;
use posthaste_protocol::problem::FieldError;

use super::error::EvalError;
use super::evaluator::Evaluator;
use super::input::Input;
use super::lower::{self, Scope};
use super::node::Node;
use super::{json, source::Source};

/// A compiled expression. Cloning copies a pointer; many threads use one at once.
#[derive(Debug, Clone)]
pub struct Expression(Arc<Node>);

impl Expression {
    /// Compiles an expression over `payload`, `headers`, `job` and `attempt`. `Err` is its first fault, with its line
    /// and column: `too_long` or `invalid_expression`, the field being empty (see [`FieldError::within`]).
    pub fn compile(text: &str) -> Result<Self, FieldError> {
        compile(text, Scope::Run).map(|node| Self(Arc::new(node)))
    }

    /// Compiles an expression over `payload` and `headers` alone: one that finds the run to which something came.
    /// Errors as [`Expression::compile`].
    pub fn correlation(text: &str) -> Result<Self, FieldError> {
        compile(text, Scope::Correlation).map(|node| Self(Arc::new(node)))
    }

    /// Its value: JSON text of at most 1 MiB, nested at most 64 deep.
    pub fn evaluate<'a>(&'a self, input: &Input<'a>) -> Result<String, EvalError> {
        let value = Evaluator::new(*input).value(&self.0).and_then(json::text);
        value.map_err(|stop| EvalError::new("expression", stop))
    }
}

/// One expression, or what is wrong with it.
pub(super) fn compile(text: &str, scope: Scope) -> Result<Node, FieldError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(FieldError::new("", "too_long", format!("must have at most {MAX_EXPRESSION_BYTES} bytes")));
    }
    let compiled = Source::read(text).and_then(|source| lower::compile(&source, scope));
    compiled.map_err(|message| FieldError::new("", "invalid_expression", message))
}
