//! Roles of one process: run side by side, and end together.

use std::future::Future;

use anyhow::{Context as _, anyhow};
use posthaste_service::{health::Health, shutdown::Shutdown};
use tokio::task::JoinSet;

/// What runs in this process.
#[derive(Debug)]
pub struct Roles {
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    shutdown: Shutdown,
}

impl Roles {
    /// None yet.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { tasks: JoinSet::new(), shutdown }
    }

    /// Begins one; it must watch the same shutdown.
    pub fn start(&mut self, name: &'static str, role: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move { (name, role.await) });
    }

    /// Waits until all have ended. One that ends before the shutdown began takes the others with it, softly; the
    /// first error is returned.
    pub async fn join(mut self, health: &Health) -> anyhow::Result<()> {
        let soft = self.shutdown.soft().clone();
        let unready = health.clone();
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
