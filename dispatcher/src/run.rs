//! Run: starts the loops of one dispatcher, and ends them in order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use posthaste_engine::{
    EngineError, fleet, migrate, rescue,
    session::{Role, Session},
};
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{
    config::EgressProxy,
    health::{CLAIM_LOOP_ALIVE, HEARTBEAT_ALIVE, Health, POSTGRES_CONNECTED, SCHEMA_COMPATIBLE},
    shutdown::Shutdown,
    telemetry::metrics::Registry,
};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    auth::{Credentials, GoogleHosts, Minter},
    beat, claimer, completer, configurer,
    context::Context,
    deadlines,
    egress::{Client, ClientOptions, EgressPolicy},
    leases::Leases,
    listener,
    metrics::Metrics,
    mint::Callbacks,
    permit::Permits,
    promoter, rescuer,
    routes::Routes,
    sleeper, sweeper,
};

/// Completers. A second one, to write while the first waits for its commit, was seen to make smaller batches: 0.029
/// instead of 0.019 commits a job. Whether it drains faster on a quiet machine is not known.
const COMPLETERS: usize = 1;
/// How long the last ends may take to be written after the hard stop.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How long a dispatcher waits for Postgres when it starts.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What a dispatcher needs to know.
pub struct Settings {
    /// Postgres.
    pub database_url: String,
    /// Postgres without a pooler in between, for LISTEN and the sleeper's lock.
    pub listen_url: String,
    /// Dispatches open at once, at most.
    pub concurrency: usize,
    /// What may be dialled.
    pub egress: EgressPolicy,
    /// Through what everything is dialled; without it everything is dialled directly.
    pub proxy: Option<EgressProxy>,
    /// Where Google answers.
    pub google: GoogleHosts,
    /// Opens endpoint secrets; without it no endpoint can be used.
    pub seal_keys: Option<SealKeys>,
    /// How functions call back; without it nothing can, and a 202 that promises it is dead.
    pub callbacks: Option<Callbacks>,
}

/// The ends of the channels that the loops read.
struct Inboxes {
    told: completer::Inbox,
    parks: completer::Inbox,
    retire: mpsc::UnboundedReceiver<String>,
}

/// Runs a dispatcher until `shutdown` and its flights have ended. Errors only before it has begun.
pub async fn run(
    settings: Settings,
    registry: &Registry,
    health: &Health,
    shutdown: Shutdown,
) -> Result<(), EngineError> {
    let session = |role| Session::new(&settings.database_url, role);
    let mut beat_session = session(Role::General)?;
    wait_for_postgres(&mut beat_session, &shutdown).await?;
    let (context, inboxes) = begin(&settings, &mut beat_session, registry, health, shutdown).await?;
    let mut configuration = session(Role::General)?;
    configurer::load(&context, &mut configuration).await?;
    let (idle_sender, idle) = watch::channel(false);
    let beating = tokio::spawn(beat::run(Arc::clone(&context), beat_session));
    let mut completing = JoinSet::new();
    for _ in 0..COMPLETERS {
        let inbox = Arc::clone(&inboxes.told);
        completing.spawn(completer::run(Arc::clone(&context), session(Role::Settle)?, inbox, completer::PROMPT));
    }
    completing.spawn(completer::run(Arc::clone(&context), session(Role::Settle)?, inboxes.parks, completer::PATIENT));
    let helpers = [
        tokio::spawn(configurer::run(Arc::clone(&context), configuration, inboxes.retire)),
        tokio::spawn(promoter::run(Arc::clone(&context), session(Role::Settle)?)),
        tokio::spawn(deadlines::run(Arc::clone(&context), session(Role::Settle)?)),
        tokio::spawn(rescuer::run(Arc::clone(&context), session(Role::Settle)?)),
        tokio::spawn(sweeper::run(Arc::clone(&context), session(Role::General)?)),
        tokio::spawn(listener::run(Arc::clone(&context), settings.listen_url.clone())),
        tokio::spawn(sleeper::run(Arc::clone(&context), Session::new(&settings.listen_url, Role::General)?, idle)),
    ];
    info!(dispatcher.id = context.dispatcher_id, concurrency = settings.concurrency, "dispatcher started");
    // Returns when it was told to stop and every flight has told its end.
    claimer::run(Arc::clone(&context), session(Role::Claim)?, idle_sender).await;
    for helper in helpers {
        if let Err(error) = helper.await {
            warn!(error = %error, "a loop failed");
        }
    }
    finish(context, completing, settings.database_url).await;
    beating.abort();
    Ok(())
}

/// Checks the schema; waits a while for a Postgres that is starting.
async fn wait_for_postgres(session: &mut Session, shutdown: &Shutdown) -> Result<(), EngineError> {
    let begun = Instant::now();
    loop {
        match session.call(async |c| migrate::check(c).await).await {
            Err(error) if error.is_unavailable() && begun.elapsed() < START_PATIENCE => {
                warn!(error = %error, "waiting for Postgres");
            }
            result => return result,
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            () = shutdown.soft().cancelled() => return Err(EngineError::Unavailable("stopped while waiting".to_owned())),
        }
    }
}

async fn begin(
    settings: &Settings,
    session: &mut Session,
    registry: &Registry,
    health: &Health,
    shutdown: Shutdown,
) -> Result<(Arc<Context>, Inboxes), EngineError> {
    for check in [POSTGRES_CONNECTED, SCHEMA_COMPATIBLE] {
        health.require(check);
    }
    health.require_beat(CLAIM_LOOP_ALIVE, Duration::from_secs(30));
    health.require_beat(HEARTBEAT_ALIVE, Duration::from_secs(15));
    let host = host();
    let options = ClientOptions { proxy: settings.proxy.clone(), ..ClientOptions::default() };
    let (dispatcher_id, installation) =
        session.call(async |c| fleet::register(c, &host, env!("CARGO_PKG_VERSION")).await).await?;
    let (told, told_inbox) = mpsc::unbounded_channel();
    let (parks, parks_inbox) = mpsc::unbounded_channel();
    let (retire, retire_inbox) = mpsc::unbounded_channel();
    let client = Client::new(settings.egress.clone(), &options);
    let minter = Minter::new(client.clone(), settings.egress.clone(), settings.proxy.clone(), settings.google.clone());
    let context = Context {
        egress_options: options,
        dispatcher_id,
        host,
        installation,
        client,
        policy: settings.egress.clone(),
        credentials: Credentials::new(minter),
        seal_keys: settings.seal_keys.clone(),
        callbacks: settings.callbacks.clone(),
        permits: Permits::new(settings.concurrency),
        routes: ArcSwap::from_pointee(Routes::default()),
        leases: Leases::new(dispatcher_id),
        told,
        parks,
        retire,
        flights: std::sync::Mutex::default(),
        wake: Notify::new(),
        recheck: Notify::new(),
        scheduled: Notify::new(),
        config_changed: Notify::new(),
        cancels: Notify::new(),
        metrics: Metrics::new(registry),
        health: health.clone(),
        shutdown,
        closing: CancellationToken::new(),
        started: Instant::now(),
        beat_ms: 0.into(),
    };
    let inboxes = Inboxes {
        told: Arc::new(Mutex::new(told_inbox)),
        parks: Arc::new(Mutex::new(parks_inbox)),
        retire: retire_inbox,
    };
    Ok((Arc::new(context), inboxes))
}

/// Everything has ended: writes the last ends, gives back what was claimed and not sent, and leaves the fleet.
async fn finish(context: Arc<Context>, completing: JoinSet<bool>, url: String) {
    let (id, shutdown) = (context.dispatcher_id, context.shutdown.clone());
    context.closing.cancel();
    let written = async {
        tokio::select! {
            all = async { completing.join_all().await.into_iter().all(|all| all) } => all,
            () = async { shutdown.hard().cancelled().await; tokio::time::sleep(LAST_WRITES).await } => false,
        }
    };
    if !written.await {
        warn!("some ends could not be written; another dispatcher will rescue their runs");
        return;
    }
    let left = async {
        let mut session = Session::new(&url, Role::Settle)?;
        session.call(async |c| rescue::release_unknown(c, id, &[], i64::MAX).await).await?;
        session.call(async |c| fleet::leave(c, id).await).await
    };
    match left.await {
        Ok(()) => info!(dispatcher.id = id, "dispatcher stopped"),
        Err(error) => warn!(error = %error, "could not say good-bye; a rescue will tidy up"),
    }
}

/// The machine's name, for people.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
