//! Acceptance: a function that answers 202 will call back, and may say how long that takes.

use http::HeaderMap;

/// Thirty days, the longest that anything may take, in milliseconds.
const MAX_MS: u64 = 30 * 86_400_000;
const CALLBACK_TIMEOUT: &str = "posthaste-callback-timeout-ms";
const HEARTBEAT_TIMEOUT: &str = "posthaste-heartbeat-timeout-ms";

/// What a 202 says of the callback. Milliseconds, 1 to 30 days; `None` leaves it to the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// `posthaste-callback-timeout-ms`: how long until the callback must have come.
    pub callback_timeout_ms: Option<u64>,
    /// `posthaste-heartbeat-timeout-ms`: how long the function may be silent.
    pub heartbeat_timeout_ms: Option<u64>,
}

/// A time-out header that cannot be read; the text names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} must be given once, as milliseconds from 1 to 2592000000")]
pub struct InvalidTimeout(&'static str);

impl Accepted {
    /// Reads the headers of a 202.
    pub fn read(headers: &HeaderMap) -> Result<Self, InvalidTimeout> {
        Ok(Self {
            callback_timeout_ms: timeout(headers, CALLBACK_TIMEOUT)?,
            heartbeat_timeout_ms: timeout(headers, HEARTBEAT_TIMEOUT)?,
        })
    }

    /// Whether these headers have a time-out, readable or not: then a 202 promises a callback, whatever the endpoint's
    /// `accept_202` says.
    pub fn is_announced(headers: &HeaderMap) -> bool {
        headers.contains_key(CALLBACK_TIMEOUT) || headers.contains_key(HEARTBEAT_TIMEOUT)
    }
}

fn timeout(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, InvalidTimeout> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim_ascii();
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let ms = text.parse().ok().filter(|ms| plain && (1..=MAX_MS).contains(ms));
    match ms {
        Some(ms) if values.next().is_none() => Ok(Some(ms)),
        _ => Err(InvalidTimeout(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn time_outs_are_milliseconds_and_may_be_left_out() {
        assert_eq!(Accepted::read(&map(&[])), Ok(Accepted::default()));
        let both = map(&[(CALLBACK_TIMEOUT, "2592000000"), (HEARTBEAT_TIMEOUT, " 1 ")]);
        let accepted = Accepted { callback_timeout_ms: Some(2_592_000_000), heartbeat_timeout_ms: Some(1) };
        assert_eq!(Accepted::read(&both), Ok(accepted));
        assert!(Accepted::is_announced(&both) && !Accepted::is_announced(&map(&[])));
    }

    #[test]
    fn a_time_out_that_cannot_be_read_is_named() {
        for bad in ["0", "2592000001", "-1", "+1", "1h", "1.5", "", "99999999999999999999"] {
            let error = Accepted::read(&map(&[(HEARTBEAT_TIMEOUT, bad)])).unwrap_err();
            assert!(error.to_string().contains(HEARTBEAT_TIMEOUT), "{bad}: {error}");
        }
        let twice = map(&[(CALLBACK_TIMEOUT, "1"), (CALLBACK_TIMEOUT, "1")]);
        assert!(Accepted::read(&twice).is_err());
        assert!(Accepted::is_announced(&map(&[(CALLBACK_TIMEOUT, "1h")])));
    }
}
