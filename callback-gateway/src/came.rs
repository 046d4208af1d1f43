//! Came: the way in which something reached a run.

use std::{convert::Infallible, fmt, str::FromStr};

use posthaste_engine::delivery::Via;
use posthaste_protocol::action::Action;

/// How something came. Written `callback:<action>`, `hook` or `source:<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// By a token that says what it asks for.
    Callback(Action),
    /// By a capability URL.
    Hook,
    /// From the named source of this name.
    Source(String),
}

impl Came {
    /// The word of the delivery log.
    pub const fn via(&self) -> Via {
        match self {
            Self::Callback(_) => Via::Callback,
            Self::Hook => Via::Hook,
            Self::Source(_) => Via::Source,
        }
    }

    /// What it asks for; nobody knows that of a webhook.
    pub const fn action(&self) -> Option<Action> {
        match self {
            Self::Callback(action) => Some(*action),
            Self::Hook | Self::Source(_) => None,
        }
    }

    /// The source that it came from.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Source(name) => Some(name),
            Self::Callback(_) | Self::Hook => None,
        }
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback(action) => write!(f, "callback:{action}"),
            Self::Hook => f.write_str("hook"),
            Self::Source(name) => write!(f, "source:{name}"),
        }
    }
}

impl FromStr for Came {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Some(name) = text.strip_prefix("source:") {
            return Ok(Self::Source(name.to_owned()));
        }
        let action = text.strip_prefix("callback:").and_then(|action| action.parse().ok());
        Ok(action.map_or(Self::Hook, Self::Callback))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for came in [Came::Hook, Came::Source("a:b".to_owned()), Came::Callback(Action::Resume)] {
            assert_eq!(came.to_string().parse::<Came>(), Ok(came));
        }
    }
}
