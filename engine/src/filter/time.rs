//! Timestamps and durations: RFC 3339 and `1h30m`, within the bounds that CEL gives them.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};

use super::meter::Stop;
use super::node::Operator;
use super::value::Value;

/// The longest duration, either way: about 10,000 years.
const MAX_SECONDS: i64 = 315_576_000_000;
const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// The units of a duration, in nanoseconds; the longer names first.
const UNITS: [(&str, i128); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3600 * NANOS_PER_SECOND),
];

/// `timestamp("2026-11-21T08:00:00Z")`
pub(super) fn parse_timestamp(text: &str) -> Result<DateTime<Utc>, Stop> {
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.filter(in_range).ok_or_else(|| Stop::failed("timestamp needs an RFC 3339 time such as 2026-11-21T08:00:00Z"))
}

/// `timestamp(1795248000)`: seconds since 1970.
pub(super) fn timestamp_of_seconds(seconds: i64) -> Result<DateTime<Utc>, Stop> {
    DateTime::from_timestamp(seconds, 0).filter(in_range).ok_or_else(out_of_range)
}

/// `duration("1h30m")`: a sign, then numbers with units, the larger ones usually first.
pub(super) fn parse_duration(text: &str) -> Result<TimeDelta, Stop> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(TimeDelta::zero());
    }
    let malformed = || Stop::failed("duration needs a text such as 1h30m, 90s or 250ms");
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let (part, after) = take_part(rest).ok_or_else(malformed)?;
        // Both are far below an `i128`'s bounds: a part has at most 18 digits.
        nanos += part;
        if nanos > i128::from(MAX_SECONDS) * NANOS_PER_SECOND {
            return Err(out_of_range());
        }
        rest = after;
    }
    duration_of_nanos(if negative { -nanos } else { nanos }).ok_or_else(out_of_range)
}

/// One number with its unit, in nanoseconds, and what follows it.
fn take_part(text: &str) -> Option<(i128, &str)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let number = [whole, fraction].concat();
    if number.is_empty() || number.len() > 18 {
        return None;
    }
    let (name, unit) = UNITS.into_iter().find(|(name, _)| {
        // `m` is not the unit of `5ms`.
        rest.strip_prefix(name).is_some_and(|after| !(*name == "m" && after.starts_with('s')))
    })?;
    let scale = 10_i128.pow(fraction.len().try_into().ok()?);
    Some((number.parse::<i128>().ok()? * unit / scale, &rest[name.len()..]))
}

fn duration_of_nanos(nanos: i128) -> Option<TimeDelta> {
    let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok()?;
    let rest = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok()?;
    TimeDelta::new(seconds, rest).filter(is_short)
}

/// `2026-11-21T08:00:00Z`, with as many digits of a second as there are.
pub(super) fn timestamp_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// `5400s`, `1.5s`, `-0.25s`.
pub(super) fn duration_text(duration: TimeDelta) -> String {
    let sign = if duration < TimeDelta::zero() { "-" } else { "" };
    let (seconds, nanos) = (duration.num_seconds().unsigned_abs(), duration.subsec_nanos().unsigned_abs());
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

/// Sums and differences of timestamps and durations; `None` where the types have none.
pub(super) fn arithmetic<'a>(operator: Operator, left: &Value, right: &Value) -> Option<Result<Value<'a>, Stop>> {
    let timestamp = |time: Option<DateTime<Utc>>| time.filter(in_range).map(Value::Timestamp);
    let duration = |duration: Option<TimeDelta>| duration.filter(is_short).map(Value::Duration);
    let result = match (operator, left, right) {
        (Operator::Add, Value::Timestamp(a), Value::Duration(b)) => timestamp(a.checked_add_signed(*b)),
        (Operator::Add, Value::Duration(a), Value::Timestamp(b)) => timestamp(b.checked_add_signed(*a)),
        (Operator::Add, Value::Duration(a), Value::Duration(b)) => duration(a.checked_add(b)),
        (Operator::Subtract, Value::Timestamp(a), Value::Duration(b)) => timestamp(a.checked_sub_signed(*b)),
        (Operator::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => duration(Some(*a - *b)),
        (Operator::Subtract, Value::Duration(a), Value::Duration(b)) => duration(a.checked_sub(b)),
        _ => return None,
    };
    Some(result.ok_or_else(out_of_range))
}

fn in_range(time: &DateTime<Utc>) -> bool {
    (1..=9999).contains(&time.year())
}

fn is_short(duration: &TimeDelta) -> bool {
    duration.num_seconds().unsigned_abs() <= MAX_SECONDS.unsigned_abs()
}

fn out_of_range() -> Stop {
    Stop::failed("the time is out of range: years are 1 to 9999, durations at most 315576000000s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_written() {
        for (text, written) in [
            ("1h30m", "5400s"),
            ("1.5h", "5400s"),
            ("-1.25s", "-1.25s"),
            ("5ms", "0.005s"),
            ("5m", "300s"),
            ("5m5s", "305s"),
            ("1m5ms", "60.005s"),
            ("3us7ns", "0.000003007s"),
            ("0", "0s"),
            ("0s", "0s"),
            ("1.9ns", "0.000000001s"),
            (".5s", "0.5s"),
            ("315576000000s", "315576000000s"),
        ] {
            assert_eq!(parse_duration(text).map(duration_text), Ok(written.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "-",
            "1",
            "s",
            "1x",
            "1 s",
            "--1s",
            "1s-1s",
            "1e3s",
            ".s",
            "١s",
            "315576000001s",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration(&"9".repeat(10_000)).is_err());
        assert!(parse_duration(&"87600000h".repeat(1000)).is_err(), "a sum is bounded too");
    }

    #[test]
    fn a_timestamp_lies_within_the_years_that_have_four_digits() {
        assert_eq!(
            parse_timestamp("2026-11-21T09:00:00.5+01:00").map(timestamp_text).as_deref(),
            Ok("2026-11-21T08:00:00.500Z")
        );
        assert_eq!(timestamp_of_seconds(0).map(timestamp_text).as_deref(), Ok("1970-01-01T00:00:00Z"));
        for text in ["", "2026-11-21", "2026-02-30T00:00:00Z", "10000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
        for seconds in [i64::MIN, i64::MAX, 253_402_300_800] {
            assert!(timestamp_of_seconds(seconds).is_err(), "{seconds}");
        }
    }
}
