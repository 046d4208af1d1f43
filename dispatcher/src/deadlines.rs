//! Deadlines: ends parked runs whose callback, or heartbeat, did not come in time, and wakes suspended ones whose time has
//! come, or for which something came that nobody has looked at.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{EngineError, floor::Scan, inbox, session::Session, time_out::time_out};
use posthaste_service::entropy;
use tracing::{info, warn};

use crate::context::Context;

/// How often the deadlines are looked at. Every dispatcher does, each takes what the others have not, and what is due is
/// ended within a second.
const EVERY: Duration = Duration::from_millis(500);
/// How often the inbox is. Who writes a signal or a wait looks at once: here is found what they left when they were lost.
const INBOX_EVERY: Duration = Duration::from_secs(1);
/// Runs ended, or signals looked at, in one transaction.
const BATCH: i64 = 500;

/// Looks at the deadlines until the soft stop.
pub async fn run(context: Arc<Context>, mut session: Session) {
    let mut looked: Option<Instant> = None;
    while !context.shutdown.soft().is_cancelled() {
        let sent = Instant::now();
        let mut result = round(&context, &mut session).await;
        if result.is_ok() && looked.is_none_or(|at| at.elapsed() >= INBOX_EVERY) {
            looked = Some(Instant::now());
            result = early(&context, &mut session).await;
        }
        context.metrics.statement("time_out", sent.elapsed(), result.is_ok());
        if let Err(error) = result {
            warn!(error = %error, "deadlines cannot be looked at now; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = context.shutdown.soft().cancelled() => {}
        }
    }
}

/// Ends everything that is due.
async fn round(context: &Context, session: &mut Session) -> Result<(), EngineError> {
    loop {
        let (routes, jitter) = (context.routes.load_full(), entropy::jitter());
        let policy_of = |scan: Scan| routes.retry_of(scan);
        let timed_out = session.call(async |c| time_out(c, BATCH, None, &policy_of, jitter).await).await?;
        if timed_out.runs > 0 {
            context.metrics.timed_out.inc_by(timed_out.runs as u64);
            info!(runs = timed_out.runs, "no callback came in time");
            context.scheduled.notify_one();
        }
        if timed_out.woken > 0 {
            context.metrics.woken.inc_by(timed_out.woken as u64);
            context.wake.notify_one();
        }
        if i64::try_from(timed_out.rows).unwrap_or(i64::MAX) < BATCH || context.shutdown.soft().is_cancelled() {
            return Ok(());
        }
    }
}

/// Gives the signals that came early to the runs that wait for them.
async fn early(context: &Context, session: &mut Session) -> Result<(), EngineError> {
    loop {
        let swept = session.call(async |c| inbox::sweep(c, BATCH).await).await?;
        if swept.met > 0 {
            info!(signals = swept.met, "signals that came early met their waits");
            context.wake.notify_one();
        }
        if i64::try_from(swept.rows).unwrap_or(i64::MAX) < BATCH || context.shutdown.soft().is_cancelled() {
            return Ok(());
        }
    }
}
