//! Wake-ups: whether notifications arrive, and whether a pooler is in the way.

use std::time::{Duration, Instant};

use posthaste_engine::{EngineError, doctor};
use posthaste_service::entropy;
use sqlx::{PgConnection, postgres::PgListener};
use tokio::time::timeout;

use super::checkup::Checkup;
use crate::connection::{self, Found};

const CHANNEL: &str = "posthaste_doctor";
const PATIENCE: Duration = Duration::from_secs(2);
const LISTEN_FIX: &str = "set POSTHASTE_LISTEN_URL to a direct connection, or use the pooler's session mode";
const DIRECT_FIX: &str = "point the POSTHASTE_DATABASE_URL of dispatchers at Postgres itself";

/// Looks at the pooler mode, the round trip of a notification and the queue of them.
pub async fn check(checkup: &mut Checkup, connection: &mut PgConnection, found: &Found) {
    pooler(checkup, "pooler", connection, &found.url, DIRECT_FIX).await;
    if found.listen_url != found.url {
        match connection::connect(&found.listen_url).await {
            Ok(mut direct) => pooler(checkup, "pooler of listen URL", &mut direct, &found.listen_url, LISTEN_FIX).await,
            Err(error) => checkup.fail("listen URL", format!("{error:#}"), "check POSTHASTE_LISTEN_URL"),
        }
    }
    let late = "jobs start up to 1 s late";
    match round_trip(connection, &found.listen_url).await {
        Ok(Some(took)) => {
            checkup.ok("notify", format!("a notification arrived after {:.1} ms", took.as_secs_f64() * 1e3));
        }
        Ok(None) => checkup.warn("notify", format!("a notification did not arrive within 2 s: {late}"), LISTEN_FIX),
        Err(error) => checkup.warn("notify", format!("LISTEN failed: {error}: {late}"), LISTEN_FIX),
    }
    let Some(server) = checkup.seen("notification queue", doctor::server(connection).await) else { return };
    let percent = server.notification_usage * 100.0;
    let detail = format!("{percent:.1} % full");
    let fix = "find the session that listens and holds a transaction open (pg_stat_activity)";
    match percent {
        full if full > 50.0 => checkup.fail("notification queue", detail, fix),
        full if full > 5.0 => checkup.warn("notification queue", detail, fix),
        _ => checkup.ok("notification queue", detail),
    }
}

/// A second connection shows whether the first one keeps its server process.
async fn pooler(checkup: &mut Checkup, check: &str, connection: &mut PgConnection, url: &str, fix: &str) {
    let mut other = match connection::connect(url).await {
        Ok(other) => other,
        Err(error) => return checkup.fail(check, format!("{error:#}"), "allow more connections"),
    };
    match checkup.seen(check, doctor::keeps_session(connection, &mut other).await) {
        Some(true) => checkup.ok(check, "none, or in session mode: sessions keep their state"),
        Some(false) => {
            let seen =
                "a pooler shares connections by transaction: LISTEN, and the plans and limits of claims, are lost";
            checkup.warn(check, seen, fix);
        }
        None => {}
    }
}

/// How long a notification takes from one connection to another; `None` when it does not arrive.
async fn round_trip(connection: &mut PgConnection, listen_url: &str) -> Result<Option<Duration>, EngineError> {
    let mut listener = PgListener::connect(listen_url).await?;
    listener.listen(CHANNEL).await?;
    let token = hex::encode(entropy::nonce16());
    let sent = Instant::now();
    doctor::notify(connection, CHANNEL, &token).await?;
    let arrival = async {
        while let Ok(told) = listener.recv().await {
            if told.payload() == token {
                return Some(sent.elapsed());
            }
        }
        None
    };
    Ok(timeout(PATIENCE, arrival).await.ok().flatten())
}
