//! The ports of the API and the gateway: the one asked for, or the next that is free.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::output::{self, Tone};

/// How many ports to try.
const TRIES: u16 = 20;

/// Listens on `wanted`, or on one of the ports after it, and then says so.
pub async fn bind(wanted: SocketAddr, what: &str, setting: &str) -> anyhow::Result<TcpListener> {
    let refused = match TcpListener::bind(wanted).await {
        Ok(listener) => return Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => error,
        Err(error) => return Err(error).with_context(|| format!("listening on {wanted}")),
    };
    for port in (1..TRIES).filter_map(|n| wanted.port().checked_add(n)) {
        let next = SocketAddr::new(wanted.ip(), port);
        if let Ok(listener) = TcpListener::bind(next).await {
            output::note_in(Tone::Warn, format_args!("{wanted} is taken by another process; {what} is at {next}"));
            return Ok(listener);
        }
    }
    Err(refused).with_context(|| format!("{wanted} and the {TRIES} ports after it are taken; set {setting}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_passed_over() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = first.local_addr().unwrap();
        let next = bind(taken, "it", "ITS_SETTING").await.unwrap().local_addr().unwrap();
        assert!(next.port() > taken.port() && next.port() < taken.port() + TRIES);
    }
}
