//! Waiting for jobs to end: one listener for all long-polls of the process.
//!
//! Finalizes notify only while somebody holds, or waits for, the lock that asks them to. While there is a waiter, the
//! listener asks for it, and looks at all waited-for jobs when it is granted: ends that were on their way untold have
//! committed by then. Notifications are a hint: the same look comes once a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use posthaste_engine::{
    EngineError,
    job::{DONE_CHANNEL, ask_for_ends, ended},
    session::{self, CALL_DEADLINE, Role, Session, within},
};
use posthaste_service::{shutdown::Shutdown, telemetry::metrics::GaugeVec};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::metrics::Metrics;

/// The most waiters of a process.
const MAX_WAITERS: usize = 10_000;
/// How often all waited-for jobs are looked at.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Polls without a waiter after which the lock is let go.
const LINGER_POLLS: u32 = 5;
/// How long to stand in line for the lock at once: a statement that waits holds back the vacuum's horizon.
const ASK_DEADLINE: Duration = Duration::from_secs(20);
/// How long to leave a database alone that is away.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// The waiters of a process, and the task that wakes them.
pub struct Waits {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when there is a first waiter.
    wanted: Notify,
    /// Whether the listener is there.
    armed: watch::Sender<bool>,
    gauge: GaugeVec,
}

#[derive(Default)]
struct Waiting {
    by_job: HashMap<i64, Vec<Arc<Notify>>>,
    count: usize,
}

/// One long-poll; leaves when it is dropped.
pub struct Waiter {
    shared: Arc<Shared>,
    job_id: i64,
    woken: Arc<Notify>,
}

impl Waits {
    /// Starts the listener's task. It connects at the first waiter.
    pub fn start(listen_url: &str, metrics: &Metrics, shutdown: Shutdown) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            wanted: Notify::new(),
            armed: watch::Sender::new(false),
            gauge: metrics.waiters.clone(),
        });
        let listening = Listening { pool: session::pool(listen_url, Role::General, 2)?, url: listen_url.into() };
        tokio::spawn(run(Arc::clone(&shared), listening, shutdown));
        Ok(Self { shared })
    }

    /// Registers a waiter; `None` when there are too many.
    pub fn register(&self, job_id: i64) -> Option<Waiter> {
        let woken = Arc::new(Notify::new());
        {
            let mut waiting = self.shared.lock();
            if waiting.count >= MAX_WAITERS {
                return None;
            }
            waiting.count += 1;
            waiting.by_job.entry(job_id).or_default().push(Arc::clone(&woken));
        }
        self.shared.gauge.with_label_values::<&str>(&[]).inc();
        self.shared.wanted.notify_one();
        Some(Waiter { shared: Arc::clone(&self.shared), job_id, woken })
    }
}

impl Waiter {
    /// Returns when the listener is there: from then on ends are told, or found by its looks.
    pub async fn armed(&self) {
        let mut armed = self.shared.armed.subscribe();
        // Cannot fail: the sender lives in `shared`, which we hold.
        let _never_closed = armed.wait_for(|armed| *armed).await;
    }

    /// Returns when the job may have ended since the last call.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock();
        waiting.count -= 1;
        if let Some(others) = waiting.by_job.get_mut(&self.job_id) {
            others.retain(|other| !Arc::ptr_eq(other, &self.woken));
            if others.is_empty() {
                waiting.by_job.remove(&self.job_id);
            }
        }
        drop(waiting);
        self.shared.gauge.with_label_values::<&str>(&[]).dec();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Valid after every single operation, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> Vec<i64> {
        self.lock().by_job.keys().copied().collect()
    }

    fn wake(&self, jobs: impl IntoIterator<Item = i64>) {
        let waiting = self.lock();
        for job_id in jobs {
            for woken in waiting.by_job.get(&job_id).into_iter().flatten() {
                // Kept for a waiter that is just reading its job.
                woken.notify_one();
            }
        }
    }
}

/// The listener's task: sleeps while nobody waits, watches while somebody does, comes back when Postgres does.
async fn run(shared: Arc<Shared>, listening: Listening, shutdown: Shutdown) {
    loop {
        let watching = async {
            while shared.jobs().is_empty() {
                shared.wanted.notified().await;
            }
            let watched = listening.watch(&shared).await;
            shared.armed.send_replace(false);
            if let Err(error) = watched {
                tracing::warn!(%error, "waiting for ends was interrupted");
                sleep(RECONNECT_PAUSE).await;
            }
        };
        tokio::select! {
            () = watching => {}
            () = shutdown.hard().cancelled() => return,
        }
    }
}

/// Where the listener connects: one connection listens, one polls, and a session of its own asks for ends.
struct Listening {
    pool: PgPool,
    url: SecretString,
}

impl Listening {
    /// Watches until nobody has waited for a while. The lock ends with its session.
    async fn watch(&self, shared: &Shared) -> Result<(), EngineError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        // First of all: what is told from now on must be heard.
        listener.listen(DONE_CHANNEL).await?;
        shared.armed.send_replace(true);
        let mut asking = Box::pin(self.ask());
        let mut held: Option<Session> = None;
        let mut polls = interval(POLL_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut idle = 0;
        loop {
            tokio::select! {
                heard = listener.try_recv() => match heard? {
                    Some(told) => shared.wake(told.payload().split(',').filter_map(|id| id.parse().ok())),
                    // It was cut off and is back; what it missed is found now.
                    None => polls.reset_immediately(),
                },
                session = &mut asking, if held.is_none() => {
                    held = Some(session);
                    // What began before it was asked for did not tell, and has committed by now.
                    polls.reset_immediately();
                }
                _ = polls.tick() => {
                    let jobs = shared.jobs();
                    idle = if jobs.is_empty() { idle + 1 } else { 0 };
                    if idle >= LINGER_POLLS {
                        return Ok(());
                    }
                    shared.wake(self.poll(&jobs).await?);
                    if let Some(session) = held.as_mut() && !still_ours(session).await {
                        held = None;
                        asking = Box::pin(self.ask());
                    }
                }
            }
        }
    }

    /// Asks until the ends of all jobs are told for certain. While another process has the lock they are told too.
    async fn ask(&self) -> Session {
        loop {
            match Session::new(self.url.expose_secret(), Role::General) {
                Err(error) => tracing::warn!(%error, "the listen URL cannot be used"),
                Ok(mut session) => {
                    let asked = session.call_within(ASK_DEADLINE, async |connection| ask_for_ends(connection).await);
                    if asked.await.is_ok() {
                        return session;
                    }
                }
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn poll(&self, jobs: &[i64]) -> Result<Vec<i64>, EngineError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.pool.acquire().await?;
        within(CALL_DEADLINE, ended(&mut connection, jobs)).await
    }
}

/// Whether the session, and with it the lock, still lives.
async fn still_ours(session: &mut Session) -> bool {
    let generation = session.generation();
    let alive = session.call(async |connection| Ok(connection.ping().await?)).await.is_ok();
    alive && session.generation() == generation
}
