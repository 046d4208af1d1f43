//! The rig of one run: a private durable Postgres, the endpoint, and a template of a migrated database.

use std::path::PathBuf;

use anyhow::Context as _;
use posthaste_service::postgres::{Cluster, ClusterOptions, cache_dir, fetch, find_binaries};

use super::{cpu, database::Database, dispatcher, party::Party};

const TEMPLATE: &str = "bench_template";

/// What every figure is measured with.
pub struct Rig {
    /// The endpoint's process.
    pub endpoint: Party,
    /// Where it listens.
    pub port: u16,
    /// One repetition of each, and smaller.
    pub quick: bool,
    /// `pg_stat_statements` is loaded, though no database has it.
    pub counts_statements: bool,
    cluster: Cluster,
    made: u32,
    /// Last: removed when Postgres has ended.
    _folder: tempfile::TempDir,
}

impl Rig {
    /// Starts Postgres and the endpoint.
    pub async fn start(quick: bool) -> anyhow::Result<Self> {
        Self::start_with(quick, &[]).await
    }

    /// Another rig, beside this one, whose Postgres counts statements; `None` where Postgres came without
    /// `pg_stat_statements`. The others would be slower with it.
    pub async fn start_counting(&self) -> anyhow::Result<Option<Self>> {
        let there = "select count(*) from pg_available_extensions where name = 'pg_stat_statements'";
        if self.admin().await?.number(there).await? == 0.0 {
            return Ok(None);
        }
        let mut rig = Self::start_with(self.quick, &[("shared_preload_libraries", "pg_stat_statements")]).await?;
        rig.counts_statements = true;
        Ok(Some(rig))
    }

    async fn start_with(quick: bool, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = folder()?;
        let path = folder.path().to_owned();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let cluster = tokio::task::spawn_blocking(move || start_cluster(path, settings)).await??;
        let mut endpoint = Party::role(&["endpoint"])?;
        let port = endpoint.word("ready").await?.parse()?;
        let mut rig = Self { endpoint, port, quick, counts_statements: false, cluster, made: 0, _folder: folder };
        rig.make_template().await?;
        Ok(rig)
    }

    async fn make_template(&mut self) -> anyhow::Result<()> {
        self.admin().await?.run(&format!("create database {TEMPLATE}")).await?;
        let mut template = Database::open(&self.cluster.url(TEMPLATE)).await?;
        dispatcher::migrate(&mut template).await?;
        let url = |path: &str| format!("http://127.0.0.1:{}/{path}", self.port);
        template.put_endpoint("bench", &url("job"), None).await?;
        template.put_endpoint("wide", &url("job"), Some(512)).await?;
        template.put_endpoint("stamped", &url("stamped"), None).await?;
        template.put_endpoint("brief", &url("brief"), None).await?;
        template.put_endpoint("accept", &url("accept"), None).await?;
        template.put_endpoint("slow", &url("slow"), Some(10_000)).await?;
        template.until_alone().await
    }

    /// A fresh copy of the migrated database.
    pub async fn database(&mut self) -> anyhow::Result<Database> {
        self.made += 1;
        let name = format!("bench_{}", self.made);
        self.admin().await?.run(&format!("create database {name} template {TEMPLATE}")).await?;
        Database::open(&self.cluster.url(&name)).await
    }

    /// An empty database, for a peer.
    pub async fn empty_database(&mut self) -> anyhow::Result<Database> {
        self.made += 1;
        let name = format!("peer_{}", self.made);
        self.admin().await?.run(&format!("create database {name}")).await?;
        Database::open(&self.cluster.url(&name)).await
    }

    /// Drops a database, so that its vacuum does not disturb the next figure.
    pub async fn drop_database(&self, database: Database) -> anyhow::Result<()> {
        let name = database.url.split(['/', '?']).nth(3).context("a URL without a database")?.to_owned();
        drop(database);
        self.admin().await?.run(&format!("drop database {name} with (force)")).await
    }

    async fn admin(&self) -> anyhow::Result<Database> {
        Database::open(&self.cluster.url("postgres")).await
    }

    /// CPU of Postgres so far, microseconds.
    pub fn postgres_us(&self) -> f64 {
        self.cluster.pid().map_or(0.0, cpu::postgres_us)
    }

    /// CPU of the endpoint so far, microseconds.
    pub fn endpoint_us(&self) -> f64 {
        cpu::process_us(self.endpoint.pid)
    }

    /// The URL of a path of the endpoint.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What the server says of itself and of the settings that matter.
    pub async fn settings(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut admin = self.admin().await?;
        let sql = "select name, current_setting(name) from unnest(array['server_version', 'fsync', 'synchronous_commit', \
            'full_page_writes', 'shared_buffers', 'max_wal_size', 'wal_level', 'autovacuum']) as name";
        Ok(sqlx::query_as(sql).fetch_all(&mut admin.connection).await?)
    }
}

fn start_cluster(folder: PathBuf, settings: Vec<(String, String)>) -> anyhow::Result<Cluster> {
    let bin = match find_binaries(None)? {
        Some(bin) => bin,
        None => fetch(&cache_dir().context("no folder for a fetched Postgres")?)?,
    };
    Ok(Cluster::start(ClusterOptions { settings, ..ClusterOptions::new(bin, folder) })?)
}

/// A folder on a disk, which the user that Postgres runs as can reach. Leftovers of killed runs are removed.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = PathBuf::from("/var/tmp");
    let mut builder = tempfile::Builder::new();
    builder.prefix("posthaste-bench-").permissions(std::fs::Permissions::from_mode(0o755));
    for old in std::fs::read_dir(&parent)?.flatten() {
        if old.file_name().to_string_lossy().starts_with("posthaste-bench-") && !is_in_use(&old.path()) {
            std::fs::remove_dir_all(old.path()).with_context(|| format!("removing {}", old.path().display()))?;
        }
    }
    Ok(builder.tempdir_in(parent)?)
}

/// Whether a benchmark holds the lock of this cluster.
fn is_in_use(folder: &std::path::Path) -> bool {
    std::fs::File::open(folder.join("lock")).is_ok_and(|lock| lock.try_lock().is_err())
}
