//! What a webhook means: CEL expressions that an operator or a function wrote, applied to what a third party sent.
//!
//! Pure: no I/O, no clock, no randomness. The same expressions and input always give the same verdict, and no
//! expression and no input can stop the process, or hold it for long:
//!
//! 1. [`Filter::compile`] and [`Expression::compile`] bound the text of each expression before the parser of the `cel`
//!    crate sees it, and turn what it parsed into our own nodes. Names, functions and patterns are checked here, when
//!    an expression is registered.
//! 2. [`read_payload`] bounds what was sent.
//! 3. [`Filter::judge`] and [`Expression::evaluate`] walk those nodes on a budget of steps and bytes, over the payload
//!    where it lies.
//!
//! The crate's interpreter is not used: it has no budget, recurses as deep as the expression, copies what it touches,
//! compiles a pattern anew for each match and visits maps in random order. It is the oracle of the tests.

mod arithmetic;
mod cache;
mod call;
mod compare;
mod error;
mod evaluator;
mod expression;
mod input;
mod json;
mod judge;
mod lower;
mod meter;
mod node;
mod pattern;
mod payload;
mod source;
mod time;
mod trial;
mod value;

use std::sync::Arc;

use posthaste_protocol::cel::{CelSpec, DefaultAction};
use posthaste_protocol::problem::FieldError;

pub use cache::FilterCache;
pub use error::EvalError;
pub use expression::Expression;
pub use input::{Input, InputRun};
pub use judge::Verdict;
pub use meter::{MAX_MADE_BYTES, MAX_STEPS};
pub use payload::{MAX_PAYLOAD_BYTES, MAX_PAYLOAD_VALUES, PayloadError, read_payload};
pub use source::{MAX_NESTING, MAX_TOKENS};
pub use trial::{TrialAnswer, TrialError, try_out};

use lower::Scope;
use node::Node;

/// Compiled expressions that together decide. Cloning copies a pointer; many threads use one at once.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    filter: Option<Node>,
    on_fail: Option<Node>,
    on_complete: Option<Node>,
    transform: Option<Node>,
    default_action: DefaultAction,
    fail_open: bool,
}

impl Filter {
    /// Compiles every expression of `spec`. `Err` holds the first fault of each expression that has one, with its line
    /// and column: `too_long` (see [`posthaste_protocol::cel::MAX_EXPRESSION_BYTES`]) or `invalid_expression`, the
    /// field being `filter`, `on_fail` and so on. Takes
    /// microseconds as a rule, some milliseconds at worst, and less than a MiB of stack.
    pub fn compile(spec: &CelSpec) -> Result<Self, Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut compile = |field: &str, text: &Option<String>| {
            let compiled = expression::compile(text.as_deref()?, Scope::Run);
            compiled.map_err(|fault| faults.push(fault.within(field))).ok()
        };
        let compiled = Compiled {
            filter: compile("filter", &spec.filter),
            on_fail: compile("on_fail", &spec.on_fail),
            on_complete: compile("on_complete", &spec.on_complete),
            transform: compile("transform", &spec.transform),
            default_action: spec.default_action(),
            fail_open: spec.fail_open,
        };
        if faults.is_empty() { Ok(Self(Arc::new(compiled))) } else { Err(faults) }
    }
}

/// Checks `spec`, for whoever stores it. Errors as [`Filter::compile`].
pub fn check(spec: &CelSpec) -> Result<(), Vec<FieldError>> {
    Filter::compile(spec).map(drop)
}

#[cfg(test)]
mod tests;
