//! One private cluster: a data folder, its socket, and the running server.

use std::{
    fs::{self, File, TryLockError},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    PgBinaries, PostgresError, child,
    child::Keeper,
    layout::Layout,
    owner::Owner,
    ready::{self, Started},
};

/// Crash recovery of a large cluster may take a while; a healthy start takes under 0.1 s.
const READY_LIMIT: Duration = Duration::from_mins(2);
/// How long orphans of a killed postmaster may hold its lock file.
const STALE_LOCK_LIMIT: Duration = Duration::from_secs(15);
const STALE_LOCK_RETRY: Duration = Duration::from_millis(250);
/// A shutdown that takes longer is made harder: fast, immediate, kill.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How much of the log goes into an error.
const TAIL_BYTES: u64 = 4096;

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The server, from [`find_binaries`](super::find_binaries) or [`fetch`](super::fetch()).
    pub bin: PgBinaries,
    /// A folder of our own for the data, the log and the socket; made if missing. Run by root it must be
    /// reachable by `nobody`, so not in a private home; a private last component is opened (`o+x`).
    pub data_dir: PathBuf,
    /// `false` turns `fsync`, `synchronous_commit` and `full_page_writes` off: fast; a crash of the server loses
    /// the last moments and a crash of the machine may lose everything.
    pub durable: bool,
    /// Server settings (`name`, `value`) that win over ours.
    pub settings: Vec<(String, String)>,
    /// Also listen on this port of 127.0.0.1. TCP asks for a password (scram) and none is set, so it is usable
    /// only after `alter role … password`; the socket is open to this user alone and trusts.
    pub tcp_port: Option<u16>,
}

impl ClusterOptions {
    /// A durable cluster on its socket alone.
    pub fn new(bin: PgBinaries, data_dir: impl Into<PathBuf>) -> Self {
        Self { bin, data_dir: data_dir.into(), durable: true, settings: Vec::new(), tcp_port: None }
    }
}

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Rolls back what is open, writes a checkpoint, ends (SIGINT).
    Fast,
    /// Ends like a crash; the next start recovers from the log (SIGQUIT).
    Immediate,
}

/// A running private Postgres. Dropping it stops the server (fast, then harder); `kill -9` of this process
/// stops it too (on Linux). Everything here blocks.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    layout: Layout,
    owner: Option<Owner>,
    keeper: Keeper,
    /// `None` while stopped.
    server: Option<Child>,
    /// Held for as long as we may touch the folder.
    _lock: File,
}

impl Cluster {
    /// Makes the cluster if the folder is empty (`initdb`, about 0.6 s), starts it, and returns when it accepts
    /// connections.
    ///
    /// Errors when the folder is in use, unreachable or of another major version, or when the server exits
    /// (with the end of its log). A lock file left by a killed postmaster is waited out for up to 15 s.
    pub fn start(options: ClusterOptions) -> Result<Self, PostgresError> {
        let owner = Owner::if_root()?;
        if let Some(owner) = owner {
            owner.check_reach(&options.bin.bin_dir)?;
        }
        let layout = Layout::prepare(&options.data_dir, owner)?;
        let lock = lock(&layout)?;
        let keeper = Keeper::start().map_err(PostgresError::io("starting the thread that spawns Postgres"))?;
        let mut cluster = Self { options, layout, owner, keeper, server: None, _lock: lock };
        cluster.initialise()?;
        cluster.run()?;
        Ok(cluster)
    }

    /// A `postgres://` URL of one database, over the socket, as superuser `postgres`; sqlx, libpq and their
    /// kin accept it. It holds no secret.
    pub fn url(&self, dbname: &str) -> String {
        let mut url = url::form_urlencoded::Serializer::new(String::new());
        let socket = self.layout.socket_dir.to_string_lossy();
        url.append_pair("host", &socket);
        url.append_pair("port", &self.port().to_string());
        url.append_pair("user", "postgres");
        // libpq reads `+` literally, so spaces must be %20; slashes may stay, for the reader.
        let query = url.finish().replace('+', "%20").replace("%2F", "/");
        format!("postgres:///{dbname}?{query}")
    }

    /// The folder of the unix socket, for `psql -h`.
    pub fn socket_dir(&self) -> &Path {
        &self.layout.socket_dir
    }

    /// The port that is part of the socket's name, and the TCP port when there is one.
    pub fn port(&self) -> u16 {
        self.options.tcp_port.unwrap_or(5432)
    }

    /// The process id of the postmaster while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The server's log.
    pub fn log_path(&self) -> &Path {
        &self.layout.log
    }

    /// The server that this cluster runs on.
    pub fn binaries(&self) -> &PgBinaries {
        &self.options.bin
    }

    /// Stops the server and waits until it is gone; a stopped one stays stopped. A server that ignores `mode`
    /// for 20 s is stopped immediately, then killed.
    pub fn stop(&mut self, mode: StopMode) -> Result<(), PostgresError> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let result = self.end(&mut server, mode);
        if result.is_err() {
            self.server = Some(server);
        }
        result
    }

    /// Stops the server in `mode` (if it runs) and starts it on the same data and the same socket.
    pub fn restart(&mut self, mode: StopMode) -> Result<(), PostgresError> {
        self.stop(mode)?;
        self.run()
    }

    fn end(&self, server: &mut Child, mode: StopMode) -> Result<(), PostgresError> {
        let refused = || PostgresError::io("stopping Postgres");
        if mode == StopMode::Fast {
            child::signal(server, Signal::INT).map_err(refused())?;
            if ready::wait_exit(server, STOP_LIMIT).map_err(refused())?.is_some() {
                return Ok(());
            }
        }
        child::signal(server, Signal::QUIT).map_err(refused())?;
        if ready::wait_exit(server, STOP_LIMIT).map_err(refused())?.is_some() {
            return Ok(());
        }
        child::kill_group(server).map_err(refused())?;
        match ready::wait_exit(server, STOP_LIMIT).map_err(refused())? {
            Some(_) => Ok(()),
            None => Err(self.slow("stopped", STOP_LIMIT)),
        }
    }

    /// Runs `initdb` aside and renames the result, so that an interrupted one is never taken for a cluster.
    fn initialise(&self) -> Result<(), PostgresError> {
        if let Some(found) = self.layout.major()? {
            let have = self.options.bin.major;
            return if found == have.to_string() {
                Ok(())
            } else {
                let path = self.options.data_dir.clone();
                Err(PostgresError::WrongMajor { path, found, have })
            };
        }
        let aside = self.layout.fresh_partial(self.owner)?;
        let mut command = self.command("initdb");
        command
            .args(["-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256"])
            .args(["-E", "UTF8", "--locale=C", "-D"])
            .arg(&aside)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !self.options.durable {
            command.arg("--no-sync");
        }
        let output = self
            .keeper
            .spawn(command)
            .and_then(Child::wait_with_output)
            .map_err(PostgresError::io("running initdb"))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(PostgresError::Initdb(words));
        }
        self.layout.adopt(&aside)
    }

    /// Spawns the server and waits until it is ready, outwaiting a lock file that orphans still hold.
    fn run(&mut self) -> Result<(), PostgresError> {
        let give_up = Instant::now() + STALE_LOCK_LIMIT;
        loop {
            let mut server = self.spawn()?;
            let started = ready::wait_ready(&mut server, &self.layout.pgdata, READY_LIMIT)
                .map_err(PostgresError::io("waiting for Postgres"))?;
            let pid = server.id();
            match started {
                Started::Ready => {
                    self.server = Some(server);
                    return Ok(());
                }
                Started::TimedOut => {
                    self.end(&mut server, StopMode::Immediate)?;
                    return Err(self.slow("ready", READY_LIMIT));
                }
                Started::Exited(_)
                    if ready::is_locked_by_another(&self.layout.pgdata, pid) && Instant::now() < give_up =>
                {
                    ready::pause(STALE_LOCK_RETRY);
                }
                Started::Exited(status) => {
                    return Err(PostgresError::Exited {
                        status: child::describe(status),
                        log: self.layout.log.clone(),
                        tail: tail(&self.layout.log),
                    });
                }
            }
        }
    }

    fn spawn(&self) -> Result<Child, PostgresError> {
        let log = self.layout.open_log()?;
        let errors = log.try_clone().map_err(PostgresError::io("sharing the log file"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.layout.pgdata);
        for (name, value) in self.server_settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdout(log).stderr(errors);
        self.keeper.spawn(command).map_err(PostgresError::io("running postgres"))
    }

    fn server_settings(&self) -> Vec<(String, String)> {
        let listen = self.options.tcp_port.map_or("", |_| "127.0.0.1");
        let socket = self.layout.socket_dir.to_string_lossy().into_owned();
        let port = self.port().to_string();
        let mut settings = vec![
            ("listen_addresses", listen),
            ("unix_socket_directories", &socket),
            ("unix_socket_permissions", "0700"),
            ("port", &port),
            ("max_connections", "200"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        if !self.options.durable {
            settings.extend([("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")]);
        }
        let ours = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        // Postgres lets the last one win.
        ours.chain(self.options.settings.iter().cloned()).collect()
    }

    /// A Postgres tool in a neutral environment and folder, as the unprivileged user when we are root.
    fn command(&self, tool: &str) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(self.options.bin.tool(tool));
        // PGDATA, PGPORT, locales and the like must not leak in; nor must a folder that `nobody` cannot read.
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        if let Some(owner) = self.owner {
            command.gid(owner.gid).uid(owner.uid);
        }
        command
    }

    fn slow(&self, what: &'static str, limit: Duration) -> PostgresError {
        PostgresError::Slow { what, seconds: limit.as_secs(), log: self.layout.log.clone() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop(StopMode::Fast) {
            tracing::warn!(%error, "a private Postgres did not stop");
        }
    }
}

/// One process at a time per folder; the kernel lets go when the process dies.
fn lock(layout: &Layout) -> Result<File, PostgresError> {
    let path = layout.root.join("lock");
    let file = File::create(&path).map_err(PostgresError::io(format!("creating {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PostgresError::InUse(layout.root.clone())),
        Err(TryLockError::Error(source)) => Err(PostgresError::io(format!("locking {}", path.display()))(source)),
    }
}

/// The last lines of a log, or why they cannot be read.
fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let start = fs::metadata(log)?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error: std::io::Error| error.to_string())
}
