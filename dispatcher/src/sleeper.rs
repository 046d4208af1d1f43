//! Sleeper: holds the lock that makes producers notify, for as long as the claimer is idle.

use std::{sync::Arc, time::Duration};

use posthaste_engine::{EngineError, session::Session, sleep};
use tokio::{sync::watch, time::timeout};
use tracing::debug;

use crate::context::Context;

/// How long the lock may be waited for at a time: the wait holds the vacuum horizon.
const WAIT: Duration = Duration::from_secs(20);
/// How long its answer is still waited for when the dispatcher stops.
const GOODBYE: Duration = Duration::from_millis(100);
/// How often a held lock's connection is asked whether it lives.
const PING: Duration = Duration::from_secs(10);

/// Sleeps and wakes with the claimer until the soft stop. `session` is a direct connection of its own.
pub async fn run(context: Arc<Context>, mut session: Session, mut idle: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            () = context.shutdown.soft().cancelled() => return,
            changed = idle.wait_for(|idle| *idle) => {
                if changed.is_err() {
                    return;
                }
            }
        }
        if let Err(error) = sleep_once(&context, &mut session, &mut idle).await {
            // Postgres cut the wait short, or is away: polling goes on.
            debug!(error = %error, "not asleep");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = context.shutdown.soft().cancelled() => return,
            }
        }
    }
}

async fn sleep_once(
    context: &Context,
    session: &mut Session,
    idle: &mut watch::Receiver<bool>,
) -> Result<(), EngineError> {
    {
        let falling = session.call_within(WAIT, async |c| sleep::fall_asleep(c).await);
        tokio::pin!(falling);
        tokio::select! {
            fallen = &mut falling => fallen?,
            // Unless another dispatcher sleeps, the answer is on its way, and one that nobody takes is a FATAL in Postgres'
            // log. Dropping the wait drops its connection, and the lock with it.
            () = context.shutdown.soft().cancelled() => match timeout(GOODBYE, falling).await {
                Ok(fallen) => fallen?,
                Err(_) => return Ok(()),
            },
        }
    }
    if *idle.borrow() {
        // What was enqueued before the lock was granted did not notify.
        context.recheck.notify_one();
    }
    let mut asleep = *idle.borrow();
    while asleep {
        tokio::select! {
            // Awake, or the claimer is gone.
            () = async { drop(idle.wait_for(|idle| !*idle).await) } => asleep = false,
            () = context.shutdown.soft().cancelled() => asleep = false,
            () = tokio::time::sleep(PING) => session.call(async |c| sleep::still_there(c).await).await?,
        }
    }
    // To its end, also when the dispatcher stops: an answer that nobody waits for is a FATAL in Postgres' log.
    session.call(async |c| sleep::wake_up(c).await).await
}
