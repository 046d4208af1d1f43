//! `posthaste doctor`: is everything fit for the job, and what to do where it is not. Changes nothing.

mod checkup;
mod clock;
mod endpoints;
mod fleet;
mod server;
mod wakeups;

use clap::Args;
use posthaste_service::config::{self, CallbackConfig, EgressProxy, SecretsConfig};
use serde_json::json;

use crate::{
    callbacks,
    connection::{self, Target},
    egress::EgressConfig,
    failure::Said,
    output::{self, Tone},
    secret_keys,
};
use checkup::{Checkup, Verdict};

/// What to look at.
#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON: {"ok": bool, "checks": [{"check", "verdict", "detail", "fix"}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    egress: EgressConfig,
    #[command(flatten)]
    secrets: SecretsConfig,
    #[command(flatten)]
    callback: CallbackConfig,
}

/// Runs every check that can be run; fails when one of them does.
pub async fn run(options: Options) -> anyhow::Result<()> {
    config::check(&[&options.secrets, &options.callback])?;
    let found = options.target.find()?;
    let keys = secret_keys::configured_or_dev(&options.secrets, found.dev.as_ref())?;
    let policy = options.egress.policy(found.dev.is_some())?;
    let proxy = EgressProxy::configured()?;
    let mut checkup = Checkup::default();
    callbacks(&mut checkup, &options.callback, found.dev.is_some())?;
    match connection::connect(&found.url).await {
        Err(error) => checkup.fail("connection", format!("{error:#}"), "check POSTHASTE_DATABASE_URL and the server"),
        Ok(mut connection) => {
            server::check(&mut checkup, &mut connection).await;
            clock::check(&mut checkup, &mut connection).await;
            wakeups::check(&mut checkup, &mut connection, &found).await;
            if server::schema(&mut checkup, &mut connection).await {
                fleet::check(&mut checkup, &mut connection).await;
                endpoints::check(&mut checkup, &mut connection, &policy, proxy.as_ref(), keys.as_ref()).await;
            }
        }
    }
    print(&checkup, options.json)?;
    if checkup.worst() == Verdict::Fail { Err(Said.into()) } else { Ok(()) }
}

/// The settings that dispatchers and gateways need beside each other; a `posthaste dev` makes its own.
fn callbacks(checkup: &mut Checkup, config: &CallbackConfig, is_dev: bool) -> anyhow::Result<()> {
    if let Some(configured) = callbacks::configured(config)? {
        checkup.ok("callbacks", configured.to_string());
    } else if is_dev {
        checkup.ok("callbacks", "those of `posthaste dev`");
    } else {
        checkup.warn(
            "callbacks",
            callbacks::MISSING,
            "set both, for dispatchers and gateways alike, and here to have them looked at",
        );
    }
    Ok(())
}

fn print(checkup: &Checkup, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let ok = checkup.worst() != Verdict::Fail;
        return output::json(&json!({"ok": ok, "checks": checkup.findings}));
    }
    let colours = output::stdout_colours();
    for finding in &checkup.findings {
        let (word, tone) = match finding.verdict {
            Verdict::Ok => ("ok  ", Tone::Good),
            Verdict::Warn => ("warn", Tone::Warn),
            Verdict::Fail => ("fail", Tone::Bad),
        };
        let detail = output::clean(&finding.detail);
        output::data(format_args!("{}  {:<20} {detail}", tone.paint(word, colours), finding.check));
        if let Some(fix) = &finding.fix {
            output::data(format_args!("      {:<20} → {}", "", output::clean(fix)));
        }
    }
    Ok(())
}
