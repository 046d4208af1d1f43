//! Later: webhooks that were kept are judged again, when their wait is known, or when an operator asks.

use std::{sync::Arc, time::Duration};

use posthaste_engine::{
    EngineError, inbox,
    judging::{self, Due},
    session::Session,
};
use posthaste_service::shutdown::Shutdown;

use crate::{
    came::Came,
    gateway::Gateway,
    hooks::headers_of,
    note::note,
    webhook::{Taken, Webhook, take},
};

/// How often it is looked whether one is due.
const EVERY: Duration = Duration::from_secs(1);
/// How many are judged in a row.
const AT_ONCE: i64 = 20;

/// Judges what is due until the soft stop.
pub async fn run(gateway: Arc<Gateway>, mut session: Session, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.soft().cancelled() => return,
        }
        if let Err(error) = judge_due(&gateway, &mut session).await {
            tracing::warn!(%error, "kept webhooks could not be judged; trying again");
        }
    }
}

async fn judge_due(gateway: &Arc<Gateway>, session: &mut Session) -> Result<(), EngineError> {
    for due in session.call(async |connection| judging::due(connection, AT_ONCE).await).await? {
        let inbox_id = due.inbox_id;
        let webhook = Arc::new(webhook(due));
        let (answer, reason) = match take(gateway, &webhook).await {
            // Its next turn comes.
            Ok(Taken::Early) => continue,
            Err(refusal) if refusal.is_passing() => continue,
            Ok(Taken::Unjudged(why)) => {
                session.call(async |connection| judging::failed(connection, inbox_id, &why).await).await?;
                continue;
            }
            Ok(Taken::Settled(answer)) => (Ok(answer), "it was kept, and judged later"),
            Err(refusal) => (Err(refusal), "it was kept, and refused later"),
        };
        session.call(async |connection| inbox::remove(connection, inbox_id).await).await?;
        let bytes = webhook.body.len();
        note(gateway, &webhook.came, Some(webhook.run), bytes, &answer, Some(reason), Some(inbox_id));
    }
    Ok(())
}

fn webhook(due: Due) -> Webhook {
    let Due { received_unix, verified, kept, .. } = due;
    let came: Came = kept.via.parse().unwrap_or(Came::Hook);
    Webhook {
        run: kept.run,
        headers: headers_of(kept.headers.as_deref()),
        // The signature of a source, or the token, was verified at the door.
        verified: verified || came != Came::Hook,
        came,
        digest: kept.digest,
        body: kept.payload.into(),
        received_unix,
    }
}
