//! Starting: the gateway, and the tasks beside its requests.

use std::{num::NonZero, sync::Arc, thread::available_parallelism};

use arc_swap::ArcSwap;
use posthaste_engine::{
    EngineError,
    filter::FilterCache,
    migrate,
    session::{Role, Session},
};
use posthaste_protocol::gateway_url::CALLBACKS_PATH;
use posthaste_service::{
    health::{Health, POSTGRES_CONNECTED, SCHEMA_COMPATIBLE},
    shutdown::Shutdown,
    telemetry::metrics::Registry,
};
use secrecy::ExposeSecret as _;
use tokio::{
    sync::Semaphore,
    time::{Duration, sleep},
};

use crate::{
    background::Background,
    body::Rooms,
    deliveries::DeliveryLog,
    gateway::Gateway,
    group_commit::GroupCommit,
    later,
    limit::Limits,
    metrics::Metrics,
    settings::Settings,
    terms::{self, AllTerms},
};

/// How many compiled filters are kept.
const FILTERS: usize = 1024;
/// How often the database is looked at for `/readyz`.
const HEALTH_EVERY: Duration = Duration::from_secs(2);

impl Gateway {
    /// Starts the background tasks, which end with the shutdown. Connections are made when they are needed; a database that
    /// is away is a matter of `/readyz`. Errors when a URL of the settings cannot be read.
    pub fn start(
        settings: &Settings,
        registry: &Registry,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<Arc<Self>, EngineError> {
        let database_url = settings.database_url.expose_secret();
        let metrics = Arc::new(Metrics::new(registry));
        let background = Background::default();
        let all_terms = Arc::new(ArcSwap::from_pointee(AllTerms::default()));
        let gateway = Arc::new(Self {
            ring: Arc::clone(&settings.ring),
            base: base_path(settings.url.callbacks()),
            terms: Arc::clone(&all_terms),
            filters: FilterCache::new(FILTERS),
            judges: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
            limits: Limits::new(),
            rooms: Rooms::new(),
            commits: GroupCommit::start(database_url, &all_terms, &metrics, &background)?,
            deliveries: DeliveryLog::start(
                Session::new(database_url, Role::General)?,
                &metrics,
                &background,
                shutdown.clone(),
            ),
            metrics,
            background,
        });
        health.require(POSTGRES_CONNECTED);
        health.require(SCHEMA_COMPATIBLE);
        let watched = Session::new(database_url, Role::General)?;
        let background = &gateway.background;
        background.run("health", watch_health(watched, health.clone(), shutdown.clone()));
        let reader = Session::new(database_url, Role::General)?;
        let (keys, listen_url) = (settings.seal_keys.clone(), settings.listen_url.clone());
        background.run("terms", terms::run(all_terms, keys, reader, listen_url, shutdown.clone()));
        let judged = Session::new(database_url, Role::Settle)?;
        background.run("later", later::run(Arc::clone(&gateway), judged, shutdown.clone()));
        Ok(gateway)
    }
}

/// The path before [`CALLBACKS_PATH`] in the public URL of callbacks.
fn base_path(callbacks: &str) -> String {
    let after_scheme = callbacks.split_once("://").map_or(callbacks, |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    path.strip_suffix(CALLBACKS_PATH).unwrap_or_default().to_owned()
}

/// Keeps the two database checks of `/readyz` true to the facts.
async fn watch_health(mut session: Session, health: Health, shutdown: Shutdown) {
    loop {
        let checked = session.call(async |connection| migrate::check(connection).await).await;
        if let Err(error) = &checked {
            tracing::warn!(%error, "the database is not ready");
        }
        health.set(POSTGRES_CONNECTED, !checked.as_ref().is_err_and(EngineError::is_unavailable));
        health.set(SCHEMA_COMPATIBLE, checked.is_ok());
        tokio::select! {
            () = sleep(HEALTH_EVERY) => {}
            () = shutdown.soft().cancelled() => return health.shutting_down(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_what_stands_before_the_paths_of_the_contract() {
        assert_eq!(base_path("https://cb.example.com/v1/callbacks"), "");
        assert_eq!(base_path("https://cb.example.com:8711/jobs/v1/callbacks"), "/jobs");
    }
}
