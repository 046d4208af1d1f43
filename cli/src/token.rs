//! `posthaste token inspect`: what a callback token says, and whether it is accepted. Never the token.

use std::io::Read as _;

use anyhow::Context as _;
use chrono::DateTime;
use clap::{Args, Subcommand};
use posthaste_protocol::{
    key_ring::KeyRing,
    token::{TOKEN_CHARS, TokenFault, TokenKind, verify},
};
use posthaste_service::{
    clock,
    config::{CallbackConfig, ConfigError},
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{callbacks, failure::Usage, home::HomeConfig, output};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a token from stdin, verify it with POSTHASTE_TOKEN_KEYS or the keys of `dev`, and print what it says
    Inspect(Options),
}

/// Which keys.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    callback: CallbackConfig,
    #[command(flatten)]
    home: HomeConfig,
}

/// Runs it.
pub fn run(Command::Inspect(options): Command) -> anyhow::Result<()> {
    let missing = || ConfigError::one("POSTHASTE_TOKEN_KEYS", "is not set, and tokens are verified with it");
    let source = callbacks::token_keys_or_dev(&options.callback, &options.home.home()?)?.ok_or_else(missing)?;
    let ring = KeyRing::parse(source.read()?.expose_secret())?;
    let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS + 2));
    // One byte more than a token and its newline: what is longer is none.
    std::io::stdin().take(TOKEN_CHARS as u64 + 2).read_to_string(&mut text).context("reading the token from stdin")?;
    if text.trim().is_empty() {
        return Err(Usage("no token came on stdin: printf %s \"$token\" | posthaste token inspect".to_owned()).into());
    }
    let now = clock::unix_now();
    let of = |kind| verify(&ring, text.trim().as_bytes(), kind, now);
    let verified = of(TokenKind::Callback).or_else(|refused| of(TokenKind::Hook).map_err(|_| refused));
    let claims = verified.map_err(|refused| match refused.fault() {
        TokenFault::Malformed => {
            anyhow::anyhow!("the token is not accepted: it is not `ph1.` and 126 letters, digits, - and _")
        }
        fault => anyhow::anyhow!("the token is not accepted: {fault}"),
    })?;
    output::json(&json!({
        "kind": if claims.kind == TokenKind::Hook { "hook" } else { "callback" },
        "actions": claims.actions,
        "namespace": claims.namespace,
        "job_id": claims.job_id.to_string(),
        "run_lease": claims.run_lease,
        "wait": claims.wait,
        "lease_id": claims.lease_id.to_string(),
        "expires_at": DateTime::from_timestamp(claims.expires_at_unix, 0),
    }))
}
