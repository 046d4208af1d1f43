//! Where the callback gateway listens.

use std::net::SocketAddr;

use clap::Args;

use super::{ConfigError, Group, Problem, problems_of};

const GATEWAY_LISTEN: &str = "POSTHASTE_GATEWAY_LISTEN";

/// The gateway's settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Gateway")]
pub struct GatewayConfig {
    /// Address and port of callbacks, hooks and sources; nothing else is answered there
    #[arg(long, env = GATEWAY_LISTEN, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8711")]
    pub gateway_listen: String,
}

impl GatewayConfig {
    /// The address to listen on.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        self.gateway_listen.parse().map_err(|_| {
            let text = &self.gateway_listen;
            ConfigError::one(
                GATEWAY_LISTEN,
                format!("is {text:?}; write an address and a port, such as 127.0.0.1:8711 or [::]:8711"),
            )
        })
    }
}

impl Group for GatewayConfig {
    fn problems(&self) -> Vec<Problem> {
        problems_of(self.listen())
    }
}
