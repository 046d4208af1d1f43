//! Expressions that decide what a webhook or a callback means.

use serde::{Deserialize, Serialize};

/// CEL expressions over `payload`, `headers`, `job` and `attempt`, asked in this order; each has at most 2048 bytes.
/// The server compiles them; `posthaste cel eval` tries them.
///
/// ```
/// use posthaste::Cel;
///
/// let paid = Cel { filter: Some("payload.type == 'paid'".into()), ..Cel::default() };
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cel {
    /// Whether the webhook is meant for this wait at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether it means that the work failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_fail: Option<String>,
    /// Whether it means that the work is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_complete: Option<String>,
    /// What becomes of the payload before it is handed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// What a webhook means that neither `on_fail` nor `on_complete` took: `complete`, `fail` or `ignore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_action: Option<String>,
    /// Goes on where an expression cannot be evaluated, as if it had not been written. `false` puts the webhook into
    /// quarantine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fail_open: bool,
}
