//! The dispatcher under test: `posthaste dispatcher` when it is built beside us, else the role of this binary.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;

use super::{
    database::{Database, SECRET_KEYS},
    gateway::Gateway,
    http,
    party::Party,
};

/// The key of REST clients.
pub const API_KEY: &str = "bench-bench-bench-bench-bench-bench-bench";

/// A running dispatcher, or a server that has one.
pub struct Dispatcher {
    /// Its process.
    pub party: Party,
    /// Where its health and metrics are.
    pub port: u16,
}

/// The product's binary, if it is there.
pub fn product() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name("posthaste");
    path.is_file().then_some(path)
}

/// Brings the schema up to date, by the same binary that will dispatch.
pub async fn migrate(database: &mut Database) -> anyhow::Result<()> {
    let Some(program) = product() else { return database.migrate().await };
    let variables = [("POSTHASTE_DATABASE_URL", database.url.as_str())];
    Party::program(&program.to_string_lossy(), &["migrate"], &variables)?.dismiss().await
}

impl Dispatcher {
    /// Starts one with default settings and does not wait for it.
    pub fn spawn(database: &Database) -> anyhow::Result<Self> {
        Self::spawn_with(database, 512)
    }

    /// Starts one with so many permits.
    pub fn spawn_with(database: &Database, concurrency: u32) -> anyhow::Result<Self> {
        if product().is_some() {
            return Self::product("dispatcher", database, concurrency, &[]);
        }
        let port = http::free_port()?;
        let (listen, permits) = (format!("127.0.0.1:{port}"), concurrency.to_string());
        let party = Party::role(&[
            "dispatcher",
            "--database-url",
            &database.url,
            "--api-listen",
            &listen,
            "--concurrency",
            &permits,
        ])?;
        Ok(Self { party, port })
    }

    /// Starts the API with a dispatcher; only the product's binary can.
    pub fn serve(database: &Database) -> anyhow::Result<Self> {
        Self::product("serve", database, 512, &[])
    }

    fn product(command: &str, database: &Database, concurrency: u32, more: &[(&str, String)]) -> anyhow::Result<Self> {
        let program = product().context("`posthaste` is not built beside `bench`")?;
        let port = http::free_port()?;
        let (listen, permits) = (format!("127.0.0.1:{port}"), concurrency.to_string());
        let mut variables = vec![
            ("POSTHASTE_DATABASE_URL", database.url.as_str()),
            ("POSTHASTE_API_LISTEN", listen.as_str()),
            ("POSTHASTE_API_KEY", API_KEY),
            ("POSTHASTE_CONCURRENCY", permits.as_str()),
            ("POSTHASTE_EGRESS_ALLOW", "127.0.0.0/8"),
            ("POSTHASTE_SECRET_KEYS", SECRET_KEYS),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        let party = Party::program(&program.to_string_lossy(), &[command], &variables)?;
        Ok(Self { party, port })
    }

    /// Starts one whose functions call back to this gateway, and waits until it says that it is ready.
    pub async fn start_for(database: &Database, gateway: &Gateway) -> anyhow::Result<Self> {
        let dispatcher = Self::product("dispatcher", database, 512, &gateway.variables())?;
        dispatcher.ready().await?;
        Ok(dispatcher)
    }

    /// Starts one and waits until it says that it is ready.
    pub async fn start(database: &Database) -> anyhow::Result<Self> {
        let dispatcher = Self::spawn(database)?;
        dispatcher.ready().await?;
        Ok(dispatcher)
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let give_up = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            if http::get(self.port, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            anyhow::ensure!(tokio::time::Instant::now() < give_up, "a dispatcher is not ready after 20 s");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
