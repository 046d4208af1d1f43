//! Connections: how a hot loop holds one, with plans pinned and a deadline on every call.

use std::{future::Future, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::EngineError;

/// The longest any statement may take before its connection is given up.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// An acknowledged enqueue or end is on disk, whatever the database's default; a stricter setting stays. A server that
/// never syncs is for tests, and is left as it is.
const DURABLE: &str = "select set_config('synchronous_commit', 'on', false)
     where current_setting('synchronous_commit') in ('off', 'local') and current_setting('fsync') = 'on'";

/// What a connection is for; decides its planner settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Claims and probes: nested index scans only, planned once. With statistics of an empty or a huge table,
    /// anything else was seen to cost 68–240 µs a job.
    Claim,
    /// Finalize, promote, rescue: no sequential scans, planned once.
    Settle,
    /// Reads of single jobs: planned once. Planning the view for each was seen to take 2–4 ms, its plan 0.4 ms.
    LookUp,
    /// Everything else.
    General,
}

impl Role {
    const fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Claim => &[
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("enable_sort", "off"),
                ("plan_cache_mode", "force_generic_plan"),
                ("jit", "off"),
                ("statement_timeout", "10s"),
            ],
            Self::Settle => &[
                ("enable_seqscan", "off"),
                // No row of a batch is like another: a cache of look-ups took a fifth of the time of `held`.
                ("enable_memoize", "off"),
                ("plan_cache_mode", "force_generic_plan"),
                ("jit", "off"),
                ("lock_timeout", "100ms"),
                ("statement_timeout", "10s"),
            ],
            Self::LookUp => &[
                ("enable_seqscan", "off"),
                ("plan_cache_mode", "force_generic_plan"),
                ("jit", "off"),
                ("statement_timeout", "30s"),
            ],
            Self::General => &[("jit", "off"), ("statement_timeout", "30s")],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Claim => "posthaste claim",
            Self::Settle => "posthaste settle",
            Self::LookUp => "posthaste look-up",
            Self::General => "posthaste",
        }
    }
}

/// Options for a connection to `url` in this role. Errors name the setting, never the password.
pub fn options(url: &str, role: Role) -> Result<PgConnectOptions, EngineError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| EngineError::Conflict("POSTHASTE_DATABASE_URL is not a Postgres URL".to_owned()))?;
    // Slow statements are counted by name; the text of a statement that waits on purpose is noise.
    let options = options.disable_statement_logging();
    Ok(options.application_name(role.name()).options(role.settings().iter().copied()))
}

/// A pool for request handlers: they run single statements.
pub fn pool(url: &str, role: Role, size: u32) -> Result<PgPool, EngineError> {
    let options = options(url, role)?;
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(CONNECT_DEADLINE)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::query(DURABLE).execute(connection).await.map(drop) })
        })
        .connect_lazy_with(options))
}

/// One held connection that is replaced when it breaks. Never shared between tasks.
pub struct Session {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    generation: u64,
}

impl Session {
    /// A session that connects at its first call.
    pub fn new(url: &str, role: Role) -> Result<Self, EngineError> {
        Ok(Self { options: options(url, role)?, connection: None, generation: 0 })
    }

    /// How many times this session has connected; state that lives with a connection is stale when it changes.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The connection, made if there is none.
    pub async fn connect(&mut self) -> Result<&mut PgConnection, EngineError> {
        if self.connection.is_none() {
            // Kept only once it is durable.
            let connecting = async {
                let mut connection = PgConnection::connect_with(&self.options).await?;
                sqlx::query(DURABLE).execute(&mut connection).await?;
                Ok::<_, EngineError>(connection)
            };
            let connection = tokio::time::timeout(CONNECT_DEADLINE, connecting)
                .await
                .map_err(|_| EngineError::Unavailable("connecting took more than 5 s".to_owned()))??;
            self.generation += 1;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| EngineError::Unavailable("no connection".to_owned()))
    }

    /// Runs one verb under [`CALL_DEADLINE`]. A connection whose call was cut short, or that broke, is not used again.
    pub async fn call<T, F>(&mut self, verb: F) -> Result<T, EngineError>
    where
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, EngineError>,
    {
        self.call_within(CALL_DEADLINE, verb).await
    }

    /// Runs one verb under a deadline of its own.
    pub async fn call_within<T, F>(&mut self, deadline: Duration, verb: F) -> Result<T, EngineError>
    where
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, EngineError>,
    {
        self.connect().await?;
        // Taken out while in use: if this future is dropped half-way, so is the connection.
        let Some(mut connection) = self.connection.take() else {
            return Err(EngineError::Unavailable("no connection".to_owned()));
        };
        let result = within(deadline, verb(&mut connection)).await;
        if !result.as_ref().is_err_and(EngineError::is_unavailable) {
            self.connection = Some(connection);
        }
        result
    }
}

/// Bounds one call to Postgres.
pub async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(result) => result,
        Err(_) => Err(EngineError::Unavailable(format!("no answer within {} s", deadline.as_secs()))),
    }
}

/// Notifications on a connection of its own.
pub struct Hints(sqlx::postgres::PgListener);

/// Listens on these channels.
pub async fn listen(url: &str, channels: &[&str]) -> Result<Hints, EngineError> {
    let options = options(url, Role::General)?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_DEADLINE).connect_with(options).await?;
    let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await?;
    listener.listen_all(channels.iter().copied()).await?;
    Ok(Hints(listener))
}

impl Hints {
    /// The channel and payload of the next notification; `None` when the connection was lost and made again, so that
    /// some may have been missed.
    pub async fn next(&mut self) -> Result<Option<String>, EngineError> {
        Ok(self.0.try_recv().await?.map(|hint| hint.channel().to_owned()))
    }
}
