//! The database of `posthaste dev`: a private Postgres in its folder, unless one was named.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use posthaste_engine::{EngineError, migrate};
use posthaste_service::{
    config::DatabaseConfig,
    postgres::{Cluster, ClusterOptions, PgBinaries, StopMode, cache_dir, fetch, find_binaries},
};
use rustix::process::{Pid, test_kill_process};
use tokio::task::spawn_blocking;

use crate::{
    connection,
    home::Home,
    output::{self, Tone},
};

const DBNAME: &str = "posthaste";
/// How long the Postgres of a killed run may take to be gone.
const ORPHAN_LIMIT: Duration = Duration::from_secs(15);

/// A migrated database, and the server if it is ours.
pub struct Database {
    url: String,
    cluster: Option<Cluster>,
}

impl Database {
    /// Opens the named database, or starts the private one; brings its schema up to date.
    pub async fn open(config: &DatabaseConfig, home: &Home) -> anyhow::Result<Self> {
        let database = match &config.database_url {
            Some(_) => Self { url: config.database_url()?.expose().to_owned(), cluster: None },
            None => Self::start(home).await?,
        };
        let mut connection = connection::connect(&database.url).await?;
        migrate::migrate(&mut connection).await.map_err(|error| database.of_another_version(error, home))?;
        Ok(database)
    }

    /// What `error` means for data that was kept, and what helps.
    fn of_another_version(&self, error: EngineError, home: &Home) -> anyhow::Error {
        match error {
            EngineError::MigrationChanged(_) | EngineError::SchemaTooNew { .. } if self.cluster.is_some() => {
                let (folder, flag) = (home.root().display(), home.flag());
                anyhow::Error::new(error).context(format!(
                    "the data in {folder} is of another version of Posthaste: `posthaste dev --fresh{flag}` throws it away, \
                     `--data-dir` takes another folder"
                ))
            }
            error => error.into(),
        }
    }

    async fn start(home: &Home) -> anyhow::Result<Self> {
        let folder = home.postgres();
        let cluster = spawn_blocking(move || {
            let bin = binaries()?;
            output::note_in(Tone::Dim, format_args!("starting PostgreSQL {} in {}", bin.major, folder.display()));
            anyhow::Ok(Cluster::start(ClusterOptions::new(bin, folder))?)
        })
        .await??;
        let mut connection = connection::connect(&cluster.url("postgres")).await?;
        make_database(&mut connection).await?;
        Ok(Self { url: cluster.url(DBNAME), cluster: Some(cluster) })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The command that opens a prompt on it.
    pub fn psql(&self) -> String {
        let beside = self.cluster.as_ref().map(|cluster| cluster.binaries().tool("psql"));
        let on_path = ["/usr/bin/psql", "/usr/local/bin/psql", "/opt/homebrew/bin/psql"]
            .iter()
            .any(|path| Path::new(path).exists());
        match beside {
            Some(tool) if !on_path && tool.exists() => format!("{} '{}'", tool.display(), self.url),
            _ => format!("psql '{}'", self.url),
        }
    }

    /// In a few words, without a password.
    pub fn description(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("PostgreSQL {} (private)", cluster.binaries().major),
            None => "Postgres of POSTHASTE_DATABASE_URL".to_owned(),
        }
    }

    /// Whether the server is ours.
    pub fn is_private(&self) -> bool {
        self.cluster.is_some()
    }

    /// Stops our server and waits until it is gone.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Some(mut cluster) = self.cluster else { return Ok(()) };
        spawn_blocking(move || cluster.stop(StopMode::Fast)).await??;
        Ok(())
    }
}

fn binaries() -> anyhow::Result<PgBinaries> {
    if let Some(found) = find_binaries(None)? {
        return Ok(found);
    }
    let cache = cache_dir().context("there is no home folder to keep Postgres in; set POSTHASTE_PG_BIN")?;
    output::note(format_args!("no PostgreSQL 15 or newer is installed: fetching one (25 MB) into {}", cache.display()));
    Ok(fetch(&cache)?)
}

async fn make_database(connection: &mut sqlx::PgConnection) -> anyhow::Result<()> {
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(DBNAME)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        sqlx::raw_sql("create database posthaste").execute(connection).await?;
    }
    Ok(())
}

/// Removes what earlier runs left: the cluster and the log. The keys stay: nothing else opens sealed secrets, and
/// they harm nobody.
pub async fn throw_away(home: &Home) -> anyhow::Result<()> {
    let folder = home.postgres();
    outwait_orphan(&folder.join("pgdata/postmaster.pid")).await?;
    for path in [folder, home.log()] {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The server of a run that was killed ends by itself; its files must not be pulled from under it.
async fn outwait_orphan(pid_file: &Path) -> anyhow::Result<()> {
    let pid = || {
        let text = fs::read_to_string(pid_file).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    };
    let give_up = tokio::time::Instant::now() + ORPHAN_LIMIT;
    while let Some(pid) = pid() {
        if test_kill_process(pid).is_err() {
            break;
        }
        if tokio::time::Instant::now() > give_up {
            bail!("a Postgres (pid {}) still runs on this data; stop it first", pid.as_raw_nonzero());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
