//! Sweeper: expiry, cancel requests that outlived their run, retention.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError, range,
    session::Session,
    sweep::{self, Retention},
};
use tracing::{info, warn};

use crate::context::Context;

/// How often what expires is looked for.
const EVERY: Duration = Duration::from_secs(5);
/// How often what is past its retention is.
const RETENTION_EVERY: Duration = Duration::from_mins(1);

/// Sweeps until the soft stop.
pub async fn run(context: Arc<Context>, mut session: Session) {
    let mut forgot: Option<Instant> = None;
    while !context.shutdown.soft().is_cancelled() {
        let sent = Instant::now();
        let mut result = ends(&mut session).await;
        if result.is_ok() && forgot.is_none_or(|at| at.elapsed() >= RETENTION_EVERY) {
            forgot = Some(Instant::now());
            result = retention(&mut session).await;
        }
        context.metrics.statement("sweep", sent.elapsed(), result.is_ok());
        if let Err(error) = result {
            warn!(error = %error, "sweeping failed; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = context.shutdown.soft().cancelled() => {}
        }
    }
}

async fn ends(session: &mut Session) -> Result<(), EngineError> {
    let expired = session.call(async |c| sweep::expire(c).await).await?;
    let cancelled = session.call(async |c| sweep::grant_cancels(c).await).await?;
    if expired + cancelled > 0 {
        info!(expired, cancelled, "ended jobs that nobody claimed");
    }
    Ok(())
}

async fn retention(session: &mut Session) -> Result<(), EngineError> {
    let retention = Retention::default();
    session.call(async |c| sweep::forget(c, &retention).await).await?;
    if let Some(range) = session.call(async |c| range::drop_range(c, &retention).await).await? {
        info!(range, "dropped a range of jobs past its retention");
    }
    Ok(())
}
