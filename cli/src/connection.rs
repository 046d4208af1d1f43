//! The database that a command works on: the one that was named, else that of a running `posthaste dev`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use posthaste_engine::{
    EngineError, migrate,
    session::{self, Role},
};
use posthaste_service::config::{self, DatabaseConfig};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::{
    home::{Home, HomeConfig},
    output::{self, Tone},
};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// Where the database is.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    home: HomeConfig,
}

/// A database that was found, not yet connected to.
#[derive(Debug)]
pub struct Found {
    /// Where statements go.
    pub url: String,
    /// Where LISTEN goes.
    pub listen_url: String,
    /// The running `posthaste dev` that it belongs to.
    pub dev: Option<Home>,
}

impl Target {
    /// The named database, or that of a running `posthaste dev`, and then says so.
    pub fn find(&self) -> anyhow::Result<Found> {
        config::check(&[&self.database])?;
        if self.database.database_url.is_some() {
            let url = self.database.database_url()?.expose().to_owned();
            let listen_url = self.database.listen_url()?.expose().to_owned();
            return Ok(Found { url, listen_url, dev: None });
        }
        let home = self.home.home()?;
        let Some(running) = home.running() else {
            bail!(
                "there is no database: set POSTHASTE_DATABASE_URL, or start `posthaste dev` (none runs in {})",
                home.root().display()
            );
        };
        output::note_in(Tone::Dim, format_args!("using the database of `posthaste dev` (pid {})", running.pid));
        Ok(Found { listen_url: running.database_url.clone(), url: running.database_url, dev: Some(home) })
    }

    /// Connects to a database whose schema this binary works with.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        self.find()?.connect().await
    }
}

impl Found {
    /// Connects to a database whose schema this binary works with.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        let mut connection = connect(&self.url).await?;
        migrate::check(&mut connection).await?;
        Ok(connection)
    }
}

/// Connects within 5 s.
pub async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    let options = session::options(url, Role::General)?;
    let connecting = PgConnection::connect_with(&options);
    let connection = timeout(CONNECT_DEADLINE, connecting)
        .await
        .map_err(|_| EngineError::Unavailable("no connection within 5 s".to_owned()))
        .and_then(|connected| connected.map_err(EngineError::from));
    connection.context("connecting to the database")
}

/// Connects, and refuses a schema that this binary does not work with: what every service does first.
pub async fn check_schema(url: &str) -> anyhow::Result<()> {
    let mut connection = connect(url).await?;
    migrate::check(&mut connection).await?;
    close(connection).await;
    Ok(())
}

/// Ends a connection as Postgres expects it. One that breaks off with an answer on its way is a FATAL in its log.
pub async fn close(mut connection: PgConnection) {
    let closing = async {
        // The rest of an answer that nobody waited for.
        connection.ping().await?;
        connection.close().await
    };
    // Whatever becomes of it, the command has done its work.
    let _ = timeout(CLOSE_DEADLINE, closing).await;
}
