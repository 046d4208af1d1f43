//! The benchmark of `docs/reference/benchmark.md`: one orchestrator, every party a process of its own.

mod figure;
mod lab;
mod output;
mod report;
mod role;
mod run;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench", about = "Measures Posthaste against its targets, the bare HTTP limit and its peers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, print the report and write it
    Run(run::Options),
    /// The function (a party)
    Endpoint,
    /// The bare HTTP loop (a party)
    Bare { url: String, count: u64 },
    /// The dispatcher, while `posthaste` is not built (a party)
    Dispatcher(role::dispatcher::Options),
    /// Forged callbacks (a party)
    Flood { port: u16, seconds: u64, connections: u64, rate: u64 },
    /// A producer (a party)
    #[command(subcommand)]
    Producer(role::producer::Command),
    /// Callers of one wait after the other (a party)
    Race { url: String, waits: usize },
    /// A REST client (a party)
    #[command(subcommand)]
    Rest(role::rest::Command),
    /// Become another program that dies with the orchestrator
    Guard {
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // The orchestrator's children die with the thread that made them: this one.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Command::Run(_) = cli.command {
        runtime = tokio::runtime::Builder::new_current_thread();
    } else {
        role::guard::die_with_parent()?;
    }
    if let Command::Guard { program, arguments } = &cli.command {
        return Err(role::guard::become_program(program, arguments));
    }
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(options) => Box::pin(run::run(options)).await,
            Command::Endpoint => role::endpoint::run().await,
            Command::Bare { url, count } => role::bare::run(&url, count).await,
            Command::Dispatcher(options) => role::dispatcher::run(options).await,
            Command::Producer(command) => role::producer::run(command).await,
            Command::Flood { port, seconds, connections, rate } => {
                role::flood::run(port, seconds, connections, rate).await
            }
            Command::Race { url, waits } => role::race::run(&url, waits).await,
            Command::Rest(command) => role::rest::run(command).await,
            Command::Guard { .. } => Ok(()),
        }
    });
    // A read of stdin that hangs must not keep the process.
    runtime.shutdown_background();
    result
}
