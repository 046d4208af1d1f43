//! What a webhook means: CEL expressions that an operator or a function wrote, applied to what a third party sent.
//!
//! Pure: no I/O, no clock, no randomness. The same filter and input always give the same verdict, and no expression
//! and no input can stop the process, or hold it for long:
//!
//! 1. [`FilterSpec`] is the filter as written.
//! 2. [`Filter::compile`] bounds the text of each expression before the parser of the `cel` crate sees it, and turns
//!    what it parsed into our own nodes. Names, functions and patterns are checked here, at registration.
//! 3. [`evaluate`] walks those nodes on a budget of steps and bytes, over the payload where it lies.
//!
//! The crate's interpreter is not used: it has no budget, recurses as deep as the expression, copies what it touches,
//! compiles a pattern anew for each match and visits maps in random order. It is the oracle of the tests.

mod arithmetic;
mod cache;
mod call;
mod compare;
mod evaluator;
mod input;
mod json;
mod lower;
mod meter;
mod node;
mod pattern;
mod payload;
mod source;
mod spec;
mod time;
mod value;
mod verdict;

use std::sync::Arc;

use posthaste_protocol::problem::FieldError;

pub use cache::FilterCache;
pub use input::{Input, InputAttempt, InputJob};
pub use meter::{MAX_MADE_BYTES, MAX_STEPS};
pub use payload::{MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH, MAX_PAYLOAD_VALUES, PayloadError, read_payload};
pub use source::{MAX_EXPRESSION_BYTES, MAX_NESTING, MAX_TOKENS};
pub use spec::{DefaultAction, FilterSpec};
pub use verdict::{Verdict, evaluate};

use node::Node;

/// A compiled filter. Cloning it copies a pointer; it is used by many threads at once.
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
    /// and column: `too_long` (see [`MAX_EXPRESSION_BYTES`]) or `invalid_expression`.
    pub fn compile(spec: &FilterSpec) -> Result<Self, Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut compile = |field: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            compile_expression(text).map_err(|(code, message)| faults.push(FieldError::new(field, code, message))).ok()
        };
        let compiled = Compiled {
            filter: compile("filter", &spec.filter),
            on_fail: compile("on_fail", &spec.on_fail),
            on_complete: compile("on_complete", &spec.on_complete),
            transform: compile("transform", &spec.transform),
            default_action: spec.default_action,
            fail_open: spec.fail_open,
        };
        if faults.is_empty() { Ok(Self(Arc::new(compiled))) } else { Err(faults) }
    }
}

/// One expression, or the code and message of what is wrong with it.
fn compile_expression(text: &str) -> Result<Node, (&'static str, String)> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(("too_long", format!("must have at most {MAX_EXPRESSION_BYTES} bytes")));
    }
    let source = source::Source::read(text).map_err(|message| ("invalid_expression", message))?;
    lower::compile(&source).map_err(|message| ("invalid_expression", message))
}

#[cfg(test)]
mod tests;
