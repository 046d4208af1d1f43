//! Roles: the parties that are processes of this binary. Each says `ready …` on stdout, and ends when stdin closes.

pub mod bare;
pub mod caller;
pub mod dispatcher;
pub mod endpoint;
pub mod flood;
pub mod guard;
pub mod producer;
pub mod race;
pub mod rest;

use std::io::Write as _;

use tokio::io::AsyncReadExt as _;

/// Says one line to the orchestrator.
pub fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Waits for the orchestrator to close our stdin.
pub async fn until_dismissed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while matches!(stdin.read(&mut buffer).await, Ok(n) if n > 0) {}
}

/// The machine's clock, microseconds since 1970: the one that Postgres stamps rows with.
pub fn now_us() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}
