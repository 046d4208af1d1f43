//! What every handler shares, and how it asks the database.

use std::{future::Future, pin::Pin, sync::Arc};

use posthaste_engine::{
    EngineError, job, migrate,
    session::{self, CALL_DEADLINE, Role, within},
};
use posthaste_protocol::{
    api_key::{ApiKeyError, bootstrap_verifier},
    id::JobId,
    job::Job,
    seal::SealKeys,
};
use posthaste_service::{
    health::{Health, POSTGRES_CONNECTED, SCHEMA_COMPATIBLE},
    shutdown::Shutdown,
    telemetry::metrics::Registry,
};
use secrecy::ExposeSecret as _;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::{
    auth::Auth,
    body::Bodies,
    group_commit::GroupCommit,
    metrics::Metrics,
    settings::{ApiSettings, UrlCheck},
    wait::Waits,
};

/// How often the database is looked at for `/readyz`.
const HEALTH_EVERY: Duration = Duration::from_secs(2);

/// An engine verb on its way.
pub type Verb<'c, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'c>>;

/// The state behind the router; shared by every request.
pub type Api = Arc<ApiState>;

/// See [`Api`].
pub struct ApiState {
    pub(crate) pool: PgPool,
    /// For reads of single jobs, which are many and cheap.
    look_ups: PgPool,
    pub(crate) commits: GroupCommit,
    pub(crate) waits: Waits,
    pub(crate) auth: Auth,
    pub(crate) bodies: Bodies,
    pub(crate) seal_keys: Option<SealKeys>,
    pub(crate) url_check: UrlCheck,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) registry: Registry,
    pub(crate) shutdown: Shutdown,
}

/// Why the API cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The bootstrap key is too short or unprintable.
    #[error("POSTHASTE_API_KEY: {0}")]
    Key(#[from] ApiKeyError),
    /// The database URL cannot be read.
    #[error(transparent)]
    Database(#[from] EngineError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ApiState {
    /// The state of one API process, with its background tasks started: they end with the shutdown. Connections are
    /// made when they are needed; a database that is away is a matter of `/readyz`.
    pub fn start(
        settings: &ApiSettings,
        registry: Registry,
        health: Health,
        shutdown: Shutdown,
    ) -> Result<Api, StartError> {
        let bootstrap = settings.api_key.as_ref().map(|key| bootstrap_verifier(key.expose_secret())).transpose()?;
        let database_url = settings.database_url.expose_secret();
        let metrics = Metrics::new(&registry);
        let state = Arc::new(Self {
            pool: session::pool(database_url, Role::General, settings.pool_size)?,
            look_ups: session::pool(database_url, Role::LookUp, settings.pool_size.div_ceil(2))?,
            commits: GroupCommit::start(database_url, &metrics.batch_jobs)?,
            waits: Waits::start(settings.listen_url.expose_secret(), &metrics, shutdown.clone())?,
            auth: Auth::new(bootstrap),
            bodies: Bodies::new(),
            seal_keys: settings.seal_keys.clone(),
            url_check: Arc::clone(&settings.url_check),
            metrics,
            health,
            registry,
            shutdown,
        });
        state.health.require(POSTGRES_CONNECTED);
        state.health.require(SCHEMA_COMPATIBLE);
        tokio::spawn(watch_health(Arc::clone(&state)));
        Ok(state)
    }

    /// Runs one verb on a pooled connection, in a task of its own: a client that goes away must not leave a
    /// statement half-way. Dropping the returned future changes nothing.
    pub(crate) async fn act<T, F>(&self, verb: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Verb<'c, T> + Send + 'static,
    {
        act_on(self.pool.clone(), verb).await
    }

    /// Runs a verb that only reads. A pooled connection that broke while it lay idle is noticed here and the verb is
    /// issued once more.
    pub(crate) async fn read<T, F>(&self, verb: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Verb<'c, T> + Send + Sync + Clone + 'static,
    {
        read_from(&self.pool, verb).await
    }

    /// One job as it is.
    pub(crate) async fn job(&self, id: JobId) -> Result<Job, EngineError> {
        read_from(&self.look_ups, move |connection| Box::pin(job::job(connection, id))).await
    }
}

async fn act_on<T, F>(pool: PgPool, verb: F) -> Result<T, EngineError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut PgConnection) -> Verb<'c, T> + Send + 'static,
{
    let task = tokio::spawn(async move {
        let mut connection = pool.acquire().await?;
        within(CALL_DEADLINE, verb(&mut connection)).await
    });
    task.await.unwrap_or_else(|error| Err(EngineError::Database(sqlx::Error::Io(std::io::Error::other(error)))))
}

async fn read_from<T, F>(pool: &PgPool, verb: F) -> Result<T, EngineError>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c mut PgConnection) -> Verb<'c, T> + Send + Sync + Clone + 'static,
{
    match act_on(pool.clone(), verb.clone()).await {
        Err(EngineError::Unavailable(_)) => act_on(pool.clone(), verb).await,
        result => result,
    }
}

/// Keeps the two database checks of `/readyz` true to the facts.
async fn watch_health(api: Api) {
    let mut ticks = interval(HEALTH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = api.shutdown.soft().cancelled() => break,
            _ = ticks.tick() => {}
        }
        let checked = api.read(|connection| Box::pin(migrate::check(connection))).await;
        let connected = !matches!(&checked, Err(error) if error.is_unavailable());
        if let Err(error) = &checked {
            tracing::warn!(%error, "the database is not ready");
        }
        api.health.set(POSTGRES_CONNECTED, connected);
        api.health.set(SCHEMA_COMPATIBLE, checked.is_ok());
    }
    api.health.shutting_down();
}
