//! Filters as they are written: `{"filter", "on_fail", "on_complete", "transform", "default_action", "fail_open"}`.

use std::fmt;

use posthaste_protocol::problem::FieldError;
use serde::Serialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value as Json;

const FIELDS: [&str; 6] = ["filter", "on_fail", "on_complete", "transform", "default_action", "fail_open"];
/// The most faults reported for one filter.
const MAX_FAULTS: usize = 100;

/// What a webhook means when no expression decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAction {
    /// The work is done.
    #[default]
    Complete,
    /// The work failed.
    Fail,
    /// Nothing: it was not meant.
    Ignore,
}

impl DefaultAction {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "complete" => Some(Self::Complete),
            "fail" => Some(Self::Fail),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// A filter as written, complete with defaults. What it gives is read again by [`FilterSpec::parse`].
///
/// Expressions are CEL over `payload`, `headers`, `job` and `attempt`; [`super::Filter::compile`] checks them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct FilterSpec {
    /// Whether the webhook is meant at all. Default: it is.
    pub filter: Option<String>,
    /// Whether it means that the work failed. Default: it does not.
    pub on_fail: Option<String>,
    /// Whether it means that the work is done. Default: see `default_action`.
    pub on_complete: Option<String>,
    /// What the result is. Default: the payload.
    pub transform: Option<String>,
    /// What happens when none of them decided. Default: `ignore` where there is an `on_complete`, which says what is
    /// waited for; else `complete`.
    pub default_action: DefaultAction,
    /// Whether an expression that fails counts as not there, instead of quarantining the webhook. Default false.
    pub fail_open: bool,
}

impl FilterSpec {
    /// Reads a filter. `Err` holds every fault of its shape; a text that is not JSON is the single fault
    /// `malformed_json` (see [`posthaste_protocol::problem::Problem::invalid`]). `null` is the same as absent.
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let members = match read_members(json) {
            Ok(Some(members)) => members,
            Ok(None) => return Err(vec![FieldError::new("", "wrong_type", "must be a JSON object")]),
            Err(error) => {
                let message = format!("not valid JSON: {error}");
                return Err(vec![FieldError::new("", FieldError::MALFORMED_JSON, message)]);
            }
        };
        let mut draft = Draft::default();
        for (name, value) in &members {
            draft.set(name, value);
        }
        draft.finish()
    }
}

/// A filter while it is read.
#[derive(Default)]
struct Draft {
    spec: FilterSpec,
    default_action: Option<DefaultAction>,
    seen: Vec<&'static str>,
    faults: Vec<FieldError>,
}

impl Draft {
    fn set(&mut self, name: &str, value: &Json) {
        let Some(name) = FIELDS.into_iter().find(|known| *known == name) else {
            return self.fault(name, "unknown_field", "is not a known field");
        };
        if self.seen.contains(&name) {
            return self.fault(name, "duplicate_field", "is given more than once");
        }
        self.seen.push(name);
        match name {
            "filter" => self.spec.filter = self.expression(name, value),
            "on_fail" => self.spec.on_fail = self.expression(name, value),
            "on_complete" => self.spec.on_complete = self.expression(name, value),
            "transform" => self.spec.transform = self.expression(name, value),
            "default_action" => self.default_action = self.action(name, value),
            _ => match value {
                Json::Bool(flag) => self.spec.fail_open = *flag,
                Json::Null => {}
                _ => self.fault(name, "wrong_type", "must be true or false"),
            },
        }
    }

    fn expression(&mut self, name: &str, value: &Json) -> Option<String> {
        match value {
            Json::Null => None,
            // Postgres stores no NUL.
            Json::String(text) if text.contains('\0') => {
                self.fault(name, "nul_character", "must not contain the character \\u0000");
                None
            }
            Json::String(text) => Some(text.clone()),
            _ => {
                self.fault(name, "wrong_type", "must be a string");
                None
            }
        }
    }

    fn action(&mut self, name: &str, value: &Json) -> Option<DefaultAction> {
        match value {
            Json::Null => None,
            Json::String(word) => {
                let action = DefaultAction::of_word(word);
                if action.is_none() {
                    self.fault(name, "unknown_word", "must be one of complete, fail, ignore");
                }
                action
            }
            _ => {
                self.fault(name, "wrong_type", "must be a string");
                None
            }
        }
    }

    fn fault(&mut self, name: &str, code: &str, message: &str) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(FieldError::new(format!("{name:.100}"), code, message));
        }
    }

    fn finish(mut self) -> Result<FilterSpec, Vec<FieldError>> {
        let unwritten = if self.spec.on_complete.is_some() { DefaultAction::Ignore } else { DefaultAction::Complete };
        self.spec.default_action = self.default_action.unwrap_or(unwritten);
        if self.faults.is_empty() { Ok(self.spec) } else { Err(self.faults) }
    }
}

/// Names and values of the object `json`, in order and with repetitions; `None` where it is JSON of another type.
fn read_members(json: &str) -> serde_json::Result<Option<Vec<(String, Json)>>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Json)>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    if !json.trim_ascii_start().starts_with('{') {
        return serde_json::from_str::<Json>(json).map(|_| None);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(Some(members))
}
