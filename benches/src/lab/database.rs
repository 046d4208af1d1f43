//! Databases of the private Postgres, and what is read from them.

use posthaste_engine::{
    endpoint::{self, SealedSecret},
    migrate,
    session::{Role, Session},
};
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::job;

/// Seals the endpoints' signing secrets.
pub const SECRET_KEYS: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Jobs per statement when a queue is filled.
pub const BATCH: usize = 500;

/// One database.
pub struct Database {
    /// Where it is.
    pub url: String,
    /// Ours, for looking.
    pub connection: PgConnection,
    /// How often we looked: commits that are not the product's.
    looks: u32,
}

/// The server's counters at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Counters {
    /// Position of the write-ahead log, bytes.
    pub wal: f64,
    /// Transactions committed in this database.
    pub commits: f64,
    /// Rows updated or deleted in this database: what vacuum must remove.
    pub dead: f64,
}

impl Database {
    /// Connects.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        Ok(Self { url: url.to_owned(), connection: PgConnection::connect(url).await?, looks: 0 })
    }

    /// Runs statements.
    pub async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// One number.
    pub async fn number(&mut self, sql: &str) -> anyhow::Result<f64> {
        let sql = format!("select ({sql})::float8");
        self.looks += 1;
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut self.connection).await?)
    }

    /// The counters now, once the backends of all others that have left are gone and have said what they did.
    pub async fn counters(&mut self) -> anyhow::Result<Counters> {
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut self.connection).await?;
        let read = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8, \
            (select xact_commit from pg_stat_database where datname = current_database())::float8, \
            (select sum(n_tup_upd + n_tup_del) from pg_stat_user_tables where schemaname not like 'pg_temp%')::float8";
        let (wal, commits, dead): (f64, f64, Option<f64>) =
            sqlx::query_as(read).persistent(false).fetch_one(&mut self.connection).await?;
        Ok(Counters { wal, commits: commits - f64::from(self.looks), dead: dead.unwrap_or(0.0) })
    }

    /// Waits until nobody else is connected, so that every backend has reported its statistics.
    pub async fn until_alone(&mut self) -> anyhow::Result<()> {
        let others = "select count(*) from pg_stat_activity where datname = current_database() \
            and pid <> pg_backend_pid() and backend_type = 'client backend'";
        self.until_zero(others).await
    }

    /// Looks every few milliseconds until this number is 0; at most three minutes.
    pub async fn until_zero(&mut self, sql: &str) -> anyhow::Result<()> {
        let give_up = tokio::time::Instant::now() + std::time::Duration::from_mins(3);
        while self.number(sql).await? > 0.0 {
            anyhow::ensure!(tokio::time::Instant::now() < give_up, "three minutes, and still not 0: {sql}");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Enqueues `count` jobs of `kind`, in batches through `posthaste.enqueue_many`, on a connection of its own.
    pub async fn fill(&self, kind: &str, count: usize) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        let (mut left, mut batch) = (count, job::batch(kind, BATCH));
        while left > 0 {
            if left < BATCH {
                batch = job::batch(kind, left);
            }
            sqlx::query("select count(*) from posthaste.enqueue_many($1::text::jsonb)")
                .bind(&batch)
                .execute(&mut connection)
                .await?;
            left = left.saturating_sub(BATCH);
        }
        connection.close().await?;
        Ok(())
    }

    /// Writes an endpoint that takes the kind of its own name.
    pub async fn put_endpoint(&self, name: &str, url: &str, concurrency: Option<u32>) -> anyhow::Result<()> {
        let mut spec = serde_json::json!({"url": url, "kinds": [name]});
        if let Some(concurrency) = concurrency {
            spec["concurrency"] = concurrency.into();
        }
        let spec = EndpointSpec::parse(&spec.to_string()).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let text = serde_json::to_string(&spec)?;
        let secret = r#"[{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "until": null}]"#;
        let sealed = SealKeys::parse(SECRET_KEYS)?.seal(secret.as_bytes(), name, [7; 24])?;
        let mut session = Session::new(&self.url, Role::General)?;
        let put = async |connection: &mut PgConnection| {
            endpoint::put(connection, name, &text, &spec.kinds, SealedSecret::Replace(&sealed)).await
        };
        session.call(put).await?;
        Ok(())
    }

    /// Lets nothing be dispatched to an endpoint, or lets it go on.
    pub async fn pause(&self, name: &str, paused: bool) -> anyhow::Result<()> {
        let mut session = Session::new(&self.url, Role::General)?;
        let turn = async |connection: &mut PgConnection| {
            if paused {
                endpoint::pause(connection, name, "benchmark").await
            } else {
                endpoint::resume(connection, name).await
            }
        };
        session.call(turn).await?;
        Ok(())
    }

    /// Brings the schema up to date.
    pub async fn migrate(&mut self) -> anyhow::Result<()> {
        migrate::migrate(&mut self.connection).await?;
        Ok(())
    }
}
