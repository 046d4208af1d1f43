//! Later: webhooks that were kept are judged again, when their wait is known, or when an operator asks.

use std::{sync::Arc, time::Duration};

use posthaste_engine::{
    EngineError, inbox,
    judging::{self, Due},
    session::Session,
};
use posthaste_protocol::{
    action::Action,
    callback::{CallbackAnswer, CallbackOutcome},
};
use posthaste_service::shutdown::Shutdown;

use crate::{
    aim::aim,
    came::Came,
    gateway::Gateway,
    hooks::headers_of,
    note::note,
    refusal::Refusal,
    take::Taken,
    webhook::{Verified, Webhook},
};

/// How often it is looked whether one is due.
const EVERY: Duration = Duration::from_secs(1);
/// How many are taken at a time: each is judged well before others may take it.
const AT_ONCE: usize = 20;
/// Why a webhook whose run is over is in quarantine: what an old run began must not end a newer one by itself.
const RUN_IS_OVER: &str = "its run is over, and its job goes on: replayed, it is for the run that the job then has";

/// Judges what is due until the soft stop.
pub async fn run(gateway: Arc<Gateway>, mut session: Session, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.soft().cancelled() => return,
        }
        // As long as there are more: a backlog is worked off.
        while !shutdown.soft().is_cancelled() {
            match judge_due(&gateway, &mut session).await {
                Ok(judged) if judged == AT_ONCE => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "kept webhooks could not be judged; trying again");
                    break;
                }
            }
        }
    }
}

/// What becomes of a kept webhook.
enum Fate {
    /// It stays: its next turn comes.
    Stays,
    /// It stays in quarantine, for this reason, with the signature of this wait.
    Quarantined(String, Option<String>),
    /// It stays, for whichever run its job has: in quarantine, for this reason, or until its next turn.
    ForJob(Option<&'static str>),
    /// It is forgotten, and this is logged.
    Settled(Result<CallbackAnswer, Refusal>, String),
}

/// Judges some, and returns how many.
async fn judge_due(gateway: &Arc<Gateway>, session: &mut Session) -> Result<usize, EngineError> {
    let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let all_due = session.call(async |connection| judging::due(connection, limit).await).await?;
    let count = all_due.len();
    for due in all_due {
        let inbox_id = due.inbox_id;
        let mut webhook = Arc::new(webhook(due));
        let is_for_job = webhook.is_for_job();
        let fate = fate(aim(gateway, &mut webhook).await, &webhook.came, is_for_job);
        let (answer, reason) = match fate {
            Fate::Stays => continue,
            Fate::Quarantined(why, signed_for) => {
                let signed_for = signed_for.as_deref();
                session.call(async |connection| judging::failed(connection, inbox_id, &why, signed_for).await).await?;
                (Ok(CallbackAnswer::of(CallbackOutcome::Quarantined)), why)
            }
            Fate::ForJob(why) => {
                session.call(async |connection| judging::leave_run(connection, inbox_id, why).await).await?;
                let Some(why) = why else { continue };
                (Ok(CallbackAnswer::of(CallbackOutcome::Quarantined)), why.to_owned())
            }
            Fate::Settled(answer, reason) => {
                session.call(async |connection| inbox::remove(connection, inbox_id).await).await?;
                (answer, reason)
            }
        };
        note(gateway, &webhook.came, Some(webhook.run), webhook.body.len(), &answer, Some(&reason), Some(inbox_id));
    }
    Ok(count)
}

/// A webhook that was acknowledged is not given up while its job goes on.
fn fate(taken: Result<Taken, Refusal>, came: &Came, is_for_job: bool) -> Fate {
    match taken {
        Ok(Taken::Early) => Fate::Stays,
        Ok(Taken::Unjudged { why, signed_for }) => Fate::Quarantined(why, signed_for),
        Ok(Taken::Settled(answer)) => Fate::Settled(Ok(answer), "it was kept, and judged later".to_owned()),
        Ok(Taken::Unwanted(why)) => Fate::Settled(
            Ok(CallbackAnswer::of(CallbackOutcome::Ignored)),
            format!("it was kept, and judged later: {why}"),
        ),
        Err(refusal) if refusal.is_passing() || refusal.is_untaken() => Fate::Stays,
        Err(refusal) if refusal.is_of_over_run() && refusal.job_lives() && !is_for_job => match came {
            // As signals that came early, which no expression judged: its sender was told that it is kept.
            Came::Callback(Action::Resume) => Fate::ForJob(None),
            Came::Hook => Fate::ForJob(Some(RUN_IS_OVER)),
            Came::Callback(_) | Came::Source(_) => refused(refusal),
        },
        Err(refusal) => refused(refusal),
    }
}

fn refused(refusal: Refusal) -> Fate {
    let reason = format!("it was kept, and refused later: {}", refusal.reason());
    Fate::Settled(Err(refusal), reason)
}

fn webhook(due: Due) -> Webhook {
    let Due { received_unix, verified, kept, .. } = due;
    let came: Came = kept.via.parse().unwrap_or(Came::Hook);
    let signatures = match kept.wait {
        // The signature of a source, or the token, was verified at the door.
        _ if came != Came::Hook => Verified::All,
        Some(wait) if verified => Verified::For(wait),
        _ => Verified::None,
    };
    Webhook {
        run: kept.run,
        headers: headers_of(kept.headers.as_deref()),
        verified: signatures,
        came,
        digest: kept.digest,
        body: kept.payload.into(),
        received_unix,
    }
}
