//! `posthaste dev`: everything on one machine, for a first look and for development.

mod database;
mod endpoint;
mod function;
mod hints;
mod meter;
mod once;
mod plain;
mod ports;
mod producer;
mod sample;
mod view;

use std::io::IsTerminal as _;

use clap::Args;
use posthaste_service::{
    config::{
        self, ApiConfig, CallbackConfig, DatabaseConfig, DispatcherConfig, EgressAllow, EgressProxy, GatewayConfig,
        LogFormat, SecretsConfig, TelemetryConfig,
    },
    http_server::{self, HttpLimits},
    shutdown::Shutdown,
    telemetry::{self, TelemetryGuard},
};
use tokio::net::TcpListener;

use crate::{
    callbacks::{self, Configured},
    dispatcher, egress,
    failure::Usage,
    gateway,
    home::{Home, HomeConfig, Running},
    output::{self, Tone},
    roles::Roles,
    runtime, secret_keys, serve,
};
use database::Database;
use hints::Hints;
use meter::Meter;
use producer::Batch;

/// After Ctrl-C, work in flight has this long, in milliseconds; with it everything is gone within 3 s.
const GRACE_MS: &str = "1200";

/// Jobs are what this command shows; the log is for what goes wrong. Without the warnings that loopback needs no key
/// (as one wants it here) and that an idle dispatcher waits for a lock (as it should).
const QUIET: &str = "warn,posthaste_api::serve=error,sqlx::query=error";

const LISTEN_HELP: &str = "Address and port of REST, health and metrics, or one of the next 19 ports if it is taken";

/// How to run it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
#[command(mut_arg("api_listen", |arg| arg.help(LISTEN_HELP)))]
#[command(mut_arg("shutdown_grace_ms", |arg| arg.default_value(GRACE_MS)))]
#[command(mut_arg("log", |arg| arg.default_value(QUIET)))]
pub struct Options {
    /// Run one batch of samples, print their results, end; exit 1 if one did not end as it should
    #[arg(long)]
    once: bool,
    /// Throw the data of earlier runs away first
    #[arg(long)]
    fresh: bool,
    /// Enqueue no samples
    #[arg(long, conflicts_with = "once")]
    no_samples: bool,
    /// Print lines instead of the live view, also on a terminal
    #[arg(long)]
    plain: bool,
    /// With --once: print the samples as JSON, one a line
    #[arg(long, requires = "once")]
    json: bool,
    #[command(flatten)]
    home: HomeConfig,
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    api: ApiConfig,
    #[command(flatten)]
    dispatcher: DispatcherConfig,
    #[command(flatten)]
    callback: CallbackConfig,
    #[command(flatten)]
    gateway: GatewayConfig,
    #[command(flatten)]
    secrets: SecretsConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

impl Options {
    fn live(&self) -> bool {
        !self.once && !self.plain && std::io::stdout().is_terminal()
    }
}

/// Runs until Ctrl-C, or until the samples of `--once` have ended.
pub fn run(options: Options) -> anyhow::Result<()> {
    let Options { database, api, dispatcher, callback, gateway, secrets, telemetry, .. } = &options;
    config::check(&[database, api, dispatcher, callback, gateway, secrets, telemetry])?;
    if options.fresh && options.database.database_url.is_some() {
        let words = "--fresh would throw away a database that is not ours; unset POSTHASTE_DATABASE_URL".to_owned();
        return Err(Usage(words).into());
    }
    let home = options.home.home()?;
    // One at a time in a folder; held until this process ends.
    let _lock = home.lock()?;
    let guard = logs(&options, &home)?;
    runtime::block_on(async move {
        let result = everything(options, &home).await;
        home.retract();
        guard.shutdown().await;
        result
    })
}

/// Logs on stderr. A live view turns stderr into a file once it has the terminal: without colours from the beginning.
fn logs(options: &Options, home: &Home) -> anyhow::Result<TelemetryGuard> {
    if !options.live() {
        return Ok(telemetry::init(&options.telemetry)?);
    }
    let mut config = options.telemetry.clone();
    config.log_format.get_or_insert(LogFormat::Text);
    Ok(view::with_stderr_in(&home.log(), || telemetry::init(&config))??)
}

async fn everything(options: Options, home: &Home) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(options.dispatcher.shutdown_grace()?)?;
    let preparing = prepare(&options, home);
    let (database, parts) = tokio::select! {
        prepared = preparing => prepared?,
        () = shutdown.soft().cancelled() => return Ok(()),
    };
    let mut roles = Roles::new(shutdown.clone());
    let hints = parts.hints(home, &database, !options.no_samples);
    let url = database.url().to_owned();
    start(&mut roles, &options, parts, &url)?;
    let meter = Meter::new(&url, roles.registry.clone())?;
    let batch = Batch::default();
    let once = options.once;
    let ended = if once {
        let samples = once::run(&url, options.json);
        tokio::select! {
            result = samples => { shutdown.begin(); roles.join().await.and(result) }
            () = shutdown.soft().cancelled() => roles.join().await.and(Err(crate::failure::Said.into())),
        }
    } else {
        if !options.no_samples {
            roles.start("sample producer", producer::run(url, batch.clone(), shutdown.clone()));
        }
        if options.live() {
            let screen = view::Screen::claim(&home.log())?;
            roles.start("live view", view::run(screen, meter, batch, hints, shutdown.clone()));
        } else {
            roles.start("progress", plain::run(meter, hints, shutdown.clone()));
        }
        roles.join().await
    };
    let stopped = database.stop().await;
    if !once {
        output::note_in(Tone::Dim, "stopped; nothing is left running");
    }
    ended.and(stopped)
}

/// What `prepare` made: the ports are taken, the endpoint is written.
struct Parts {
    api: TcpListener,
    gateway: TcpListener,
    function: TcpListener,
    seal_keys: posthaste_protocol::seal::SealKeys,
    callbacks: Configured,
}

impl Parts {
    fn hints(&self, home: &Home, database: &Database, samples: bool) -> Hints {
        let url = |listener: &TcpListener| {
            listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
        };
        Hints::new(home, database, url(&self.api), url(&self.gateway), samples)
    }
}

/// Everything that must be there before the roles begin.
async fn prepare(options: &Options, home: &Home) -> anyhow::Result<(Database, Parts)> {
    if options.fresh {
        database::throw_away(home).await?;
    }
    let database = Database::open(&options.database, home).await?;
    let seal_keys = secret_keys::configured_or_made(&options.secrets, home)?;
    let api = ports::bind(options.api.listen()?, "the API", "POSTHASTE_API_LISTEN").await?;
    let gateway = ports::bind(options.gateway.listen()?, "the gateway", "POSTHASTE_GATEWAY_LISTEN").await?;
    let callbacks = callbacks::configured_or_made(&options.callback, home, gateway.local_addr()?)?;
    let function = TcpListener::bind("127.0.0.1:0").await?;
    let mut connection = crate::connection::connect(database.url()).await?;
    endpoint::write(&mut connection, function.local_addr()?, &seal_keys).await?;
    home.announce(&Running {
        pid: std::process::id().cast_signed(),
        database_url: database.url().to_owned(),
        api_url: format!("http://{}", api.local_addr()?),
        gateway_url: format!("http://{}", gateway.local_addr()?),
    })?;
    Ok((database, Parts { api, gateway, function, seal_keys, callbacks }))
}

fn start(roles: &mut Roles, options: &Options, parts: Parts, url: &str) -> anyhow::Result<()> {
    let serving = roles.shutdown.clone();
    let Parts { api, gateway, function, seal_keys, callbacks } = parts;
    roles.start("sample function", async move {
        http_server::serve(function, function::router(), HttpLimits::default(), serving).await;
        Ok(())
    });
    let allow = options.dispatcher.egress_allow()?.and(EgressAllow::loopback());
    let settings = posthaste_dispatcher::Settings {
        database_url: url.to_owned(),
        listen_url: url.to_owned(),
        concurrency: options.dispatcher.concurrency()?,
        egress: egress::policy(allow),
        proxy: EgressProxy::configured()?,
        google: dispatcher::google(&options.dispatcher),
        seal_keys: Some(seal_keys),
        callbacks: Some(callbacks.of_dispatcher()),
    };
    let of_gateway = callbacks.of_gateway(url, url, settings.seal_keys.clone());
    gateway::start(roles, gateway, &of_gateway)?;
    callbacks.watch(roles);
    serve::start_api(roles, api, &options.api, &settings)?;
    dispatcher::start(roles, settings);
    Ok(())
}
