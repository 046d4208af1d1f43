//! The tree of commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use posthaste_service::tls;

use crate::{
    cel, deliveries, dev, dispatcher, doctor, endpoint, enqueue, failure, gateway, job, keys, migrate, output, process,
    runtime::block_on, serve, source, token,
};

/// Jobs that were committed to Postgres, POSTed to your serverless functions
#[derive(Debug, Parser)]
#[command(name = "posthaste", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Start here: `posthaste dev` runs everything, with a Postgres of its own and samples.")]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print without colours
    #[arg(long, global = true, env = "NO_COLOR", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    #[arg(value_name = "1", hide_env = true, hide_possible_values = true)]
    no_color: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: a private Postgres, API, dispatcher, a sample function, a live view
    Dev(Box<dev::Options>),
    /// Bring the database's schema up to date; safe to repeat beside running processes
    Migrate(migrate::Options),
    /// Run a dispatcher alone: claim jobs, POST them, record what became of them
    Dispatcher(Box<process::Options>),
    /// Run a callback gateway alone: verify what functions and webhooks say, and end their runs
    Gateway(Box<gateway::Options>),
    /// Run the API, a dispatcher and the callback gateway in one process
    Serve(Box<serve::Options>),
    /// Enqueue a job
    Enqueue(Box<enqueue::Options>),
    /// Look at jobs, wait for them, cancel them, try them again
    #[command(subcommand)]
    Job(job::Command),
    /// Say why a job is not running, as `job explain` does
    Explain(job::One),
    /// Look at endpoints, write, pause and delete them
    #[command(subcommand)]
    Endpoint(endpoint::Command),
    /// Try the expressions that say what a webhook means
    #[command(subcommand)]
    Cel(cel::Command),
    /// Look at named sources of webhooks, write and delete them
    #[command(subcommand)]
    Source(source::Command),
    /// Look at what came to the gateways, and judge again what was kept
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Look into a callback token
    #[command(subcommand)]
    Token(token::Command),
    /// Mint API keys, list and revoke them
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check that the database, the fleet and the endpoints are fit for the job
    Doctor(doctor::Options),
}

/// Parses the command line and runs it.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    if cli.no_color.is_some_and(|value| !value.is_empty()) {
        output::no_colours();
    }
    tls::install_crypto_provider();
    let result = match cli.command {
        Command::Dev(options) => dev::run(*options),
        Command::Migrate(options) => block_on(migrate::run(options)),
        Command::Dispatcher(options) => process::run(*options, None, dispatcher::begin),
        Command::Gateway(options) => gateway::run(*options),
        Command::Serve(options) => serve::run(*options),
        Command::Enqueue(options) => block_on(enqueue::run(*options)),
        Command::Job(command) => block_on(job::run(command)),
        Command::Explain(one) => block_on(job::run(job::Command::Explain(one))),
        Command::Endpoint(command) => block_on(endpoint::run(command)),
        Command::Cel(command) => cel::run(command),
        Command::Source(command) => block_on(source::run(command)),
        Command::Deliveries(command) => block_on(deliveries::run(command)),
        Command::Token(command) => token::run(command),
        Command::Keys(command) => block_on(keys::run(command)),
        Command::Doctor(options) => block_on(doctor::run(options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }
}
