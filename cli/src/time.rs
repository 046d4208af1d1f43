//! Times as they are typed and shown: RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};

/// Reads a time that was typed; the error says how to write one.
pub fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    let forms = "write date, time and offset from UTC, such as 2026-11-21T08:00:00Z or 2026-11-21T09:00:00+01:00";
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| forms.to_owned())
}

/// In UTC, to the millisecond.
pub fn show(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset_and_anything_else_is_told_how_to_write_one() {
        let utc = parse("2026-11-21T08:00:00Z").unwrap();
        assert_eq!(parse("2026-11-21T09:00:00+01:00").unwrap(), utc);
        assert_eq!(show(utc), "2026-11-21T08:00:00.000Z");
        for bad in ["tomorrow", "2026-11-21", "2026-11-21T08:00:00", "1795161600"] {
            assert!(parse(bad).unwrap_err().contains("2026-11-21T08:00:00Z"), "{bad}");
        }
    }
}
