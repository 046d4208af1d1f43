//! Configurer: keeps the routes up to date, and pauses endpoints that retired themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{EngineError, endpoint, session::Session};
use posthaste_service::health::SCHEMA_COMPATIBLE;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::{context::Context, routes::Routes};

/// How often the configuration is read although nobody announced a change.
const EVERY: Duration = Duration::from_secs(15);

/// Loads routes until the soft stop.
pub async fn run(context: Arc<Context>, mut session: Session, mut retire: mpsc::UnboundedReceiver<String>) {
    loop {
        match load(&context, &mut session).await {
            Ok(()) => context.wake.notify_one(),
            Err(error) => warn!(error = %error, "the configuration cannot be read now; going on with the last one"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = context.config_changed.notified() => {}
            () = context.credentials.changed() => {}
            Some(name) = retire.recv() => pause(&mut session, &name).await,
            () = context.shutdown.soft().cancelled() => return,
        }
    }
}

/// Reads the configuration once.
pub async fn load(context: &Context, session: &mut Session) -> Result<(), EngineError> {
    let before = context.routes.load_full();
    let routes = Routes::load(session, context, &before, Instant::now()).await?;
    context.routes.store(Arc::new(routes));
    context.health.set(SCHEMA_COMPATIBLE, true);
    Ok(())
}

async fn pause(session: &mut Session, name: &str) {
    let reason = "answered 410 to five jobs in a row";
    match session.call(async |c| endpoint::pause(c, name, reason).await).await {
        Ok(_) => info!(endpoint.name = name, reason, "endpoint paused"),
        Err(error) => warn!(endpoint.name = name, error = %error, "the endpoint could not be paused"),
    }
}
