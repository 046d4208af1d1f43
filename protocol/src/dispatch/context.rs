//! What a run is told beside its job: how to call back, and what earlier runs left.

use crate::action::Actions;
use crate::gateway_url::GatewayUrl;
use crate::token::Token;

/// Everything that an envelope carries beside the job. The default is a first run that cannot call back.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunContext<'a> {
    /// How to call back; `None` sends `null`.
    pub callback: Option<CallbackGrant<'a>>,
    /// What was reported last, a JSON object sent as it stands; `None` sends `null`.
    pub progress: Option<&'a str>,
    /// The steps done so far, a JSON object sent as it stands; `None` sends `{}`.
    pub steps: Option<&'a str>,
    /// What woke the function; `None`, for a run that was not suspended, sends `null`.
    pub resume: Option<Resume<'a>>,
}

/// Where and with what to call back.
#[derive(Debug, Clone, Copy)]
pub struct CallbackGrant<'a> {
    /// The gateway.
    pub gateway: &'a GatewayUrl,
    /// The function's own token.
    pub token: &'a Token,
    /// The token of the hook URL that the function may hand on; `None` sends `null`.
    pub hook_token: Option<&'a Token>,
    /// What the function's token allows.
    pub actions: Actions,
    /// How long the function has to call back after it accepted, in milliseconds.
    pub deadline_in_ms: u64,
    /// How long the token is accepted, in milliseconds.
    pub token_expires_in_ms: u64,
}

/// What woke a suspended function.
#[derive(Debug, Clone, Copy)]
pub struct Resume<'a> {
    /// The name of the wait.
    pub name: &'a str,
    /// What came, a JSON value sent as it stands; `None` sends `null`.
    pub payload: Option<&'a str>,
    /// Whether nothing came in time.
    pub timed_out: bool,
}
