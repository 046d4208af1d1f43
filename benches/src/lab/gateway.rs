//! The gateway under test, and the settings that dispatchers need to name it.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{
    database::{Database, SECRET_KEYS},
    dispatcher, http,
    party::Party,
};

/// Mints and verifies callback tokens.
pub const TOKEN_KEYS: &str = "1:202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

/// A running gateway.
pub struct Gateway {
    /// Its process.
    pub party: Party,
    /// Where it takes callbacks.
    pub port: u16,
}

impl Gateway {
    /// Starts `posthaste gateway` and waits until it says that it is ready.
    pub async fn start(database: &Database) -> anyhow::Result<Self> {
        Self::start_with(database, TOKEN_KEYS).await
    }

    /// Starts one with these token keys, as `POSTHASTE_TOKEN_KEYS` takes them.
    pub async fn start_with(database: &Database, token_keys: &str) -> anyhow::Result<Self> {
        let program = dispatcher::product().context("`posthaste` is not built beside `bench`")?;
        let (port, health_port) = (http::free_port()?, http::free_port()?);
        let variables = [
            ("POSTHASTE_DATABASE_URL", database.url.as_str()),
            ("POSTHASTE_GATEWAY_LISTEN", &format!("127.0.0.1:{port}")),
            ("POSTHASTE_API_LISTEN", &format!("127.0.0.1:{health_port}")),
            ("POSTHASTE_GATEWAY_URL", &url(port)),
            ("POSTHASTE_TOKEN_KEYS", token_keys),
            ("POSTHASTE_SECRET_KEYS", SECRET_KEYS),
        ];
        let party = Party::program(&program.to_string_lossy(), &["gateway"], &variables)?;
        let give_up = Instant::now() + Duration::from_secs(20);
        while !http::get(health_port, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
            anyhow::ensure!(Instant::now() < give_up, "a gateway is not ready after 20 s");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { party, port })
    }

    /// What a dispatcher must know to send functions to this gateway.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [("POSTHASTE_GATEWAY_URL", url(self.port)), ("POSTHASTE_TOKEN_KEYS", TOKEN_KEYS.to_owned())]
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
