//! The wall clock, for what is told in its time: signatures, and the deadline of a platform.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a signature names the time of this machine; there is no database here")]
pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// How long it is until then; nothing once it is over.
#[cfg(feature = "lambda")]
#[expect(clippy::disallowed_methods, reason = "a platform names its deadline by the time of this machine")]
pub(crate) fn remaining(until: SystemTime) -> std::time::Duration {
    until.duration_since(SystemTime::now()).unwrap_or_default()
}
