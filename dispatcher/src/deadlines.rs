//! Deadlines: ends parked runs whose callback, or heartbeat, did not come in time, and wakes suspended ones whose time has
//! come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{EngineError, floor::Scan, session::Session, time_out::time_out};
use posthaste_service::entropy;
use tracing::{info, warn};

use crate::context::Context;

/// How often the deadlines are looked at. Every dispatcher does, each takes what the others have not, and what is due is
/// ended within a second.
const EVERY: Duration = Duration::from_millis(500);
/// Runs ended in one transaction.
const BATCH: i64 = 500;

/// Looks at the deadlines until the soft stop.
pub async fn run(context: Arc<Context>, mut session: Session) {
    while !context.shutdown.soft().is_cancelled() {
        let sent = Instant::now();
        let result = round(&context, &mut session).await;
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
