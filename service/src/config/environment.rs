//! The one place that reads the process environment (clap's `env` twins aside).

use std::ffi::OsString;

/// The value of an environment variable; `None` when unset or empty.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn variable_os(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Every environment variable.
pub(crate) fn variables_os() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// As [`variable_os`], as text; a value that is not UTF-8 counts as unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    variable_os(name)?.into_string().ok()
}

/// As [`variable`], as a secret.
pub(crate) fn secret(name: &str) -> Option<secrecy::SecretString> {
    variable(name).map(secrecy::SecretString::from)
}
