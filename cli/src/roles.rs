//! Roles of one process: they share its metrics and its health, run side by side, and end together.

use std::future::Future;

use anyhow::{Context as _, anyhow};
use posthaste_service::{health::Health, shutdown::Shutdown, telemetry::metrics::Registry};
use tokio::task::JoinSet;

/// What runs in this process, and what it shares.
pub struct Roles {
    /// The metrics of all.
    pub registry: Registry,
    /// The checks of all.
    pub health: Health,
    /// The end of all.
    pub shutdown: Shutdown,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Roles {
    /// None yet.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { registry: Registry::new(), health: Health::new(), shutdown, tasks: JoinSet::new() }
    }

    /// Begins one; it must watch the same shutdown.
    pub fn start(&mut self, name: &'static str, role: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move { (name, role.await) });
    }

    /// Waits until all have ended. One that ends before the shutdown began takes the others with it, softly; the
    /// first error is returned.
    pub async fn join(mut self) -> anyhow::Result<()> {
        let soft = self.shutdown.soft().clone();
        let unready = self.health.clone();
        let announcer = tokio::spawn(async move {
            soft.cancelled().await;
            unready.shutting_down();
        });
        let mut first = Ok(());
        while let Some(joined) = self.tasks.join_next().await {
            let early = !self.shutdown.soft().is_cancelled();
            let ended = match joined {
                Ok((name, Ok(()))) if !early => {
                    tracing::debug!(role = name, "ended");
                    Ok(())
                }
                Ok((name, Ok(()))) => Err(anyhow!("the {name} ended by itself")),
                Ok((name, Err(error))) => Err(error).with_context(|| format!("the {name} failed")),
                Err(error) => Err(anyhow!("a role of this process failed: {error}")),
            };
            if let Err(error) = ended {
                tracing::error!(error = format!("{error:#}"), "shutting down");
                first = first.and(Err(error));
            }
            self.shutdown.begin();
        }
        announcer.abort();
        // Nothing is left that a grace could be for.
        self.shutdown.force();
        first
    }
}
