//! CEL expressions that decide what a webhook means, as written. Whoever takes them compiles them; here are their
//! places and bounds only.

pub mod trial;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::field::Field;
use crate::object::{Faults, Path, Shape, malformed};
use crate::problem::FieldError;
use crate::word::words;

/// The longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 2048;

const SHAPE: Shape =
    Shape { known: &["filter", "on_complete", "on_fail", "transform", "default_action", "fail_open"], later: &[] };

words! {
    /// What a webhook means that passed the filter and that neither `on_fail` nor `on_complete` took.
    pub enum DefaultAction {
        /// Done.
        Complete = "complete",
        /// Failed.
        Fail = "fail",
        /// Nothing.
        Ignore = "ignore",
    }
}

/// Expressions over `payload`, `headers`, `job` and `attempt`, evaluated in this order. Each is at most
/// [`MAX_EXPRESSION_BYTES`] and not empty; `None` was not given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct CelSpec {
    /// Whether the webhook is meant for this wait at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether it means that the work failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_fail: Option<String>,
    /// Whether it means that the work is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_complete: Option<String>,
    /// What becomes of the payload before it is the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// See [`CelSpec::default_action`].
    #[serde(rename = "default_action", skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultAction>,
    /// What becomes of a webhook for which an expression cannot be evaluated. `false`, the default, quarantines it;
    /// `true` goes on as if that expression had not been written. A webhook that reaches a bound of the evaluation is
    /// quarantined all the same.
    #[serde(rename = "fail_open", skip_serializing_if = "std::ops::Not::not")]
    pub fail_open: bool,
}

impl CelSpec {
    /// Reads expressions as they are written and stored. `Err` holds every fault (at most 100).
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let raw: &RawValue = serde_json::from_str(json).map_err(|e| malformed(&e))?;
        let mut faults = Faults::default();
        let spec = read(&Field { path: Path::Root, raw }, &mut faults);
        faults.or(spec)
    }

    /// What happens when no expression took the webhook: as written; else `ignore` where `on_complete` names what is
    /// waited for, and `complete` where any webhook will do.
    pub fn default_action(&self) -> DefaultAction {
        let unwritten = if self.on_complete.is_some() { DefaultAction::Ignore } else { DefaultAction::Complete };
        self.default.unwrap_or(unwritten)
    }
}

/// Reads expressions, which may be partial.
pub(crate) fn read(field: &Field, faults: &mut Faults) -> Option<CelSpec> {
    let mut spec = CelSpec::default();
    let set = |name: &'static str, part: Field, faults: &mut Faults| match name {
        "filter" => spec.filter = read_expression(&part, faults),
        "on_fail" => spec.on_fail = read_expression(&part, faults),
        "on_complete" => spec.on_complete = read_expression(&part, faults),
        "transform" => spec.transform = read_expression(&part, faults),
        "fail_open" => spec.fail_open = part.flag(faults).unwrap_or_default(),
        _ => spec.default = part.word(faults),
    };
    field.object(SHAPE, faults, set).then_some(spec)
}

fn read_expression(field: &Field, faults: &mut Faults) -> Option<String> {
    let expression = field.text_within(MAX_EXPRESSION_BYTES, faults)?;
    if expression.trim_ascii().is_empty() {
        field.fault("required", "must not be empty; leave it out", faults);
        return None;
    }
    Some(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_expression_took_is_done_unless_something_was_waited_for() {
        let of = |on_complete: Option<&str>, default| CelSpec {
            on_complete: on_complete.map(str::to_owned),
            default,
            ..CelSpec::default()
        };
        assert_eq!(of(None, None).default_action(), DefaultAction::Complete);
        assert_eq!(of(Some("payload.done"), None).default_action(), DefaultAction::Ignore);
        assert_eq!(of(Some("payload.done"), Some(DefaultAction::Fail)).default_action(), DefaultAction::Fail);
    }
}
