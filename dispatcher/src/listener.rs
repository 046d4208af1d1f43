//! Listener: notifications are hints that save a poll. Polling is the truth.

use std::{sync::Arc, time::Duration};

use posthaste_engine::session;
use tracing::{info, warn};

use crate::context::Context;

/// How long to wait before listening again.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until the soft stop, on a direct connection of its own.
pub async fn run(context: Arc<Context>, url: String) {
    loop {
        tokio::select! {
            result = listen(&context, &url) => {
                if let Err(error) = result {
                    warn!(error = %error, "not listening; polling alone finds work meanwhile");
                }
            }
            () = context.shutdown.soft().cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = context.shutdown.soft().cancelled() => return,
        }
    }
}

async fn listen(context: &Context, url: &str) -> Result<(), posthaste_engine::EngineError> {
    let mut hints =
        session::listen(url, &["posthaste_ready", "posthaste_scheduled", "posthaste_config", "posthaste_cancel"])
            .await?;
    info!("listening");
    // What was said before this moment was said to nobody.
    everything(context);
    loop {
        match hints.next().await? {
            Some(channel) => match channel.as_str() {
                "posthaste_ready" => context.wake.notify_one(),
                "posthaste_scheduled" => context.scheduled.notify_one(),
                "posthaste_config" => context.config_changed.notify_one(),
                "posthaste_cancel" => context.cancels.notify_one(),
                _ => {}
            },
            None => everything(context),
        }
    }
}

fn everything(context: &Context) {
    context.wake.notify_one();
    context.scheduled.notify_one();
    context.config_changed.notify_one();
    context.cancels.notify_one();
}
