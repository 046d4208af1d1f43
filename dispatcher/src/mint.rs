//! Mint: the tokens with which a run's function, and whom it hands its hook URL to, may call back.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use posthaste_engine::claim::ClaimedRun;
use posthaste_protocol::{
    action::{Action, Actions},
    dispatch::CallbackGrant,
    gateway_url::GatewayUrl,
    id::JobId,
    key_ring::KeyRing,
    token::{self, Claims, EXPIRY_GRACE_S, Token, TokenKind},
};

use crate::target::Target;

/// The only namespace there is.
const NAMESPACE: i32 = 1;
/// What a function may do.
const FUNCTION: Actions = Actions::ALL;
/// What a third party's webhook may come to: the end of a plain wait, or the waking of a suspended function.
const HOOK: Actions = Actions::of(&[Action::Complete, Action::Fail, Action::Resume]);

/// How functions call back.
#[derive(Debug, Clone)]
pub struct Callbacks {
    /// Where.
    pub gateway: GatewayUrl,
    /// With what: the gateway's own ring, as it is now.
    pub keys: Arc<ArcSwap<KeyRing>>,
}

/// The tokens of one run.
pub struct Minted<'a> {
    gateway: &'a GatewayUrl,
    token: Token,
    hook_token: Token,
    deadline_in_ms: u64,
    token_expires_in_ms: u64,
}

impl Callbacks {
    /// Makes the tokens of a run whose claim was sent at `claimed`. `now_unix` is the time now, in seconds.
    pub fn mint(&self, run: &ClaimedRun, target: &Target, claimed: Instant, now_unix: i64) -> Minted<'_> {
        let elapsed_ms = u64::try_from(claimed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left_ms = target.endpoint.spec.max_run_ms.saturating_sub(elapsed_ms);
        // Rounded up: a token outlives its run by no less than the grace.
        let expires_in_s = i64::try_from(left_ms.div_ceil(1000)).unwrap_or(i64::MAX).saturating_add(EXPIRY_GRACE_S);
        let claims = Claims {
            kind: TokenKind::Callback,
            actions: FUNCTION,
            namespace: NAMESPACE,
            job_id: JobId(run.job_id),
            run_lease: run.run_lease,
            wait: 0,
            lease_id: run.lease.lease_id,
            expires_at_unix: now_unix.saturating_add(expires_in_s),
            nonce: run.lease.nonce.into_bytes(),
        };
        let callback_ms = target.endpoint.callback_timeout(run.callback_timeout).as_millis();
        let callback_ms = u64::try_from(callback_ms).unwrap_or(u64::MAX);
        let keys = self.keys.load();
        Minted {
            gateway: &self.gateway,
            token: token::mint(&keys, &claims),
            hook_token: token::mint(&keys, &Claims { kind: TokenKind::Hook, actions: HOOK, ..claims }),
            deadline_in_ms: callback_ms.min(left_ms),
            token_expires_in_ms: u64::try_from(expires_in_s).unwrap_or(0).saturating_mul(1000),
        }
    }
}

impl Minted<'_> {
    /// What the request says of them.
    pub fn grant(&self) -> CallbackGrant<'_> {
        CallbackGrant {
            gateway: self.gateway,
            token: &self.token,
            hook_token: Some(&self.hook_token),
            actions: FUNCTION,
            deadline_in_ms: self.deadline_in_ms,
            token_expires_in_ms: self.token_expires_in_ms,
        }
    }
}
