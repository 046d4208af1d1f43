//! Clocks: signatures carry this machine's time, due times are the database's.

use chrono::{DateTime, Utc};
use posthaste_engine::{EngineError, doctor};
use sqlx::PgConnection;

use super::checkup::Checkup;

/// Functions that verify signatures usually allow five minutes.
const WARN_MS: i64 = 2_000;
const FAIL_MS: i64 = 60_000;
/// Of several looks, the one with the shortest round trip says most.
const LOOKS: usize = 3;

/// Compares the clocks.
pub async fn check(checkup: &mut Checkup, connection: &mut PgConnection) {
    let Some((offset, round_trip)) = checkup.seen("clock", offset(connection).await) else { return };
    let detail = format!("this machine is {offset} ms off the database's clock (± {} ms)", round_trip / 2);
    match offset.abs() - round_trip / 2 {
        off if off > FAIL_MS => checkup.fail("clock", detail, "run an NTP client on both machines"),
        off if off > WARN_MS => checkup.warn("clock", detail, "run an NTP client on both machines"),
        _ => checkup.ok("clock", detail),
    }
}

/// Milliseconds that this machine is ahead, and of the round trip that told.
async fn offset(connection: &mut PgConnection) -> Result<(i64, i64), EngineError> {
    let mut best = None;
    for _ in 0..LOOKS {
        let before = now();
        let theirs = doctor::clock(connection).await?;
        let after = now();
        let round_trip = (after - before).num_milliseconds();
        let offset = (before + (after - before) / 2 - theirs).num_milliseconds();
        best = best.min(Some((round_trip, offset))).or(Some((round_trip, offset)));
    }
    Ok(best.map_or((0, 0), |(round_trip, offset)| (offset, round_trip)))
}

#[expect(clippy::disallowed_methods, reason = "this clock is what is being compared")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
