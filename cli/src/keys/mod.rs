//! `posthaste keys …`: the API keys of REST, stored as hashes.

mod list;
mod mint;
mod revoke;

use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mint a key and print it, this once
    Mint(mint::Options),
    /// List keys, newest first
    List(list::Options),
    /// Revoke a key for good
    Revoke(revoke::Options),
}

/// Runs one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Mint(options) => mint::run(options).await,
        Command::List(options) => list::run(options).await,
        Command::Revoke(options) => revoke::run(options).await,
    }
}
