//! Routes: what a path asks for. Read by hand, since what is in a path may be a token, which no log and no metric may see.

use posthaste_protocol::{
    action::Action,
    gateway_url::{CALLBACKS_PATH, HOOKS_PATH, SOURCES_PATH},
};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'p> {
    /// A callback; its token is in the path, or else in a header.
    Callback {
        /// As it stands in the path.
        token: Option<&'p str>,
        /// The last segment.
        action: Action,
    },
    /// A webhook to the wait that the token names.
    Hook {
        /// As it stands in the path.
        token: &'p str,
    },
    /// A webhook to a named source.
    Source {
        /// Its name.
        name: &'p str,
    },
}

impl<'p> Route<'p> {
    /// Reads a path, with or without the path of the public base before it. `None`: there is nothing here.
    pub fn of(path: &'p str, base: &str) -> Option<Self> {
        let path = path.strip_prefix(base).unwrap_or(path);
        if let Some(rest) = below(path, CALLBACKS_PATH) {
            let (token, action) = match rest.split_once('/') {
                Some((token, action)) => (Some(token), action),
                None => (None, rest),
            };
            return Some(Self::Callback { token, action: action.parse().ok()? });
        }
        if let Some(token) = below(path, HOOKS_PATH) {
            return (!token.contains('/')).then_some(Self::Hook { token });
        }
        let name = below(path, SOURCES_PATH)?;
        (!name.contains('/')).then_some(Self::Source { name })
    }

    /// What whoever asked for nothing is told. Never repeats the path.
    pub fn missing(path: &str, base: &str) -> String {
        let path = path.strip_prefix(base).unwrap_or(path);
        if path == CALLBACKS_PATH || below(path, CALLBACKS_PATH).is_some() {
            return format!("the URL of a callback ends in an action, one of {}", Action::WORDS.join(", "));
        }
        "there is no such route".to_owned()
    }

    /// The route's name, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Callback { action, .. } => action.as_str(),
            Self::Hook { .. } => "hook",
            Self::Source { .. } => "source",
        }
    }
}

/// What follows `folder/` in `path`; never empty.
fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder)?.strip_prefix('/').filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_contract_is_read() {
        let action = Action::Complete;
        for (path, route) in [
            ("/v1/callbacks/complete", Route::Callback { token: None, action }),
            ("/v1/callbacks/ph1.abc/complete", Route::Callback { token: Some("ph1.abc"), action }),
            ("/v1/hooks/ph1.abc", Route::Hook { token: "ph1.abc" }),
            ("/v1/sources/stripe", Route::Source { name: "stripe" }),
            ("/jobs/v1/hooks/ph1.abc", Route::Hook { token: "ph1.abc" }),
        ] {
            assert_eq!(Route::of(path, "/jobs"), Some(route), "{path}");
        }
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in [
            "/",
            "/v1/callbacks",
            "/v1/callbacks/",
            "/v1/callbacks/Complete",
            "/v1/callbacks/a/b/complete",
            "/v1/callbacks/complete/",
            "/v1/callbacksx/complete",
            "/v1/hooks/",
            "/v1/hooks/a/b",
            "/v1/sources/a/b",
            "/v2/hooks/a",
        ] {
            assert_eq!(Route::of(path, ""), None, "{path}");
        }
    }
}
