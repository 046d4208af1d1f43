//! Promoter: moves runs whose time has come to `ready`, at their time and not at a tick.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    promote::{PROMOTE_MAX, promote},
    session::Session,
};
use tracing::warn;

use crate::context::Context;

/// The longest sleep: a run that is scheduled for sooner than this announces itself.
const TICK: Duration = Duration::from_secs(1);

/// Promotes until the soft stop.
pub async fn run(context: Arc<Context>, mut session: Session) {
    while !context.shutdown.soft().is_cancelled() {
        let sent = Instant::now();
        let result = session.call(async |c| promote(c, PROMOTE_MAX, None).await).await;
        context.metrics.statement("promote", sent.elapsed(), result.is_ok());
        let wait = match result {
            Ok(promoted) => {
                if promoted.count > 0 {
                    context.metrics.promoted.inc_by(u64::try_from(promoted.count).unwrap_or(0));
                    context.wake.notify_one();
                }
                if promoted.count >= PROMOTE_MAX { Duration::ZERO } else { promoted.next.unwrap_or(TICK).min(TICK) }
            }
            Err(error) => {
                warn!(error = %error, "promoting failed; trying again");
                TICK
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = context.scheduled.notified() => {}
            () = context.shutdown.soft().cancelled() => {}
        }
    }
}
