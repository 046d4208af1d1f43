//! The wall clock, for wire timestamps only: leases and schedules go by the database's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whole seconds since 1970-01-01 UTC, as `webhook-timestamp` wants them; 0 on a machine set before 1970.
#[expect(clippy::disallowed_methods, reason = "the one wall clock, for timestamps that go over the wire")]
pub fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(super::unix_now() > 1_700_000_000);
    }
}
