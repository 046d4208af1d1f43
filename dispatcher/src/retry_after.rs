//! When a function wants to be asked again: `retry-after` in seconds or as a date.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};
use posthaste_engine::lifecycle::clamp_retry_after;

/// The wish of these headers, within 1 s and 24 h. A date is read against the answer's own `date`, because
/// clocks differ; one in the past, one without `date` and anything unreadable is ignored.
pub fn from_headers(headers: &HeaderMap) -> Option<Duration> {
    let wish = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(seconds) = from_seconds(wish) {
        return Some(seconds);
    }
    let at = httpdate::parse_http_date(wish).ok()?;
    let date = headers.get(DATE)?.to_str().ok()?;
    let wait = at.duration_since(httpdate::parse_http_date(date.trim()).ok()?).ok()?;
    (!wait.is_zero()).then(|| clamp_retry_after(wait))
}

/// A number of seconds in decimal notation, within 1 s and 24 h; `None` for anything else.
pub fn from_seconds(text: &str) -> Option<Duration> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !plain {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    // Hundreds of digits parse to infinity, which is as good as the upper bound.
    Some(clamp_retry_after(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(wish: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(wish).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        from_headers(&headers)
    }

    #[test]
    fn seconds_are_read_and_clamped() {
        let day = Duration::from_hours(24);
        for (wish, wait) in [
            ("120", Duration::from_mins(2)),
            (" 7 ", Duration::from_secs(7)),
            ("1.5", Duration::from_millis(1500)),
            ("0", Duration::from_secs(1)),
            ("0.2", Duration::from_secs(1)),
            ("86401", day),
            ("99999999999999999999", day),
        ] {
            assert_eq!(read(wish, None), Some(wait), "{wish}");
        }
        assert_eq!(read(&"9".repeat(400), None), Some(day));
    }

    #[test]
    fn what_is_not_a_wait_is_ignored() {
        for wish in ["", "-1", "soon", "1e3", "inf", "nan", "+5", "1.2.3", ".", "0x10", "Sat, 21 Nov 2026"] {
            assert_eq!(read(wish, Some("Sat, 21 Nov 2026 08:00:00 GMT")), None, "{wish}");
        }
        assert_eq!(from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn a_date_is_read_against_the_answers_own_date() {
        let date = Some("Sat, 21 Nov 2026 08:00:00 GMT");
        assert_eq!(read("Sat, 21 Nov 2026 08:00:30 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 21 Nov 2027 08:00:00 GMT", date), Some(Duration::from_hours(24)));
        assert_eq!(read("Sat, 21 Nov 2026 08:00:00 GMT", date), None);
        assert_eq!(read("Sat, 21 Nov 2026 07:59:59 GMT", date), None);
        assert_eq!(read("Sat, 21 Nov 2026 08:00:30 GMT", None), None);
        assert_eq!(read("Sat, 21 Nov 2026 08:00:30 GMT", Some("yesterday")), None);
    }
}
