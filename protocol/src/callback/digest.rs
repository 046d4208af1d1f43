//! Digests: how a callback that comes again is recognised.
//!
//! 16 bytes, the first of a BLAKE3 `derive_key` hash. For an action, under `posthaste 2026-11-21 callback digest v1`,
//! over the action's word, a zero byte, and the canonical spelling of the body without the members that are null,
//! which means absent; an empty body is `{}`. For a hook, under `posthaste 2026-11-21 hook digest v1`, over the body as
//! it came.

use super::canonical;
use crate::action::Action;

const CALLBACK_CONTEXT: &str = "posthaste 2026-11-21 callback digest v1";
const HOOK_CONTEXT: &str = "posthaste 2026-11-21 hook digest v1";

/// Sixteen bytes that stand for an action and its body.
pub type Digest = [u8; 16];

/// The digest of what a third party sent to a hook: any bytes.
pub fn of_hook(body: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(HOOK_CONTEXT);
    hasher.update(body);
    finish(&hasher)
}

/// The digest of an action with these members, each a name and a value that is not null.
pub(super) fn of_members(action: Action, mut members: Vec<(&str, &str)>) -> Digest {
    members.sort_unstable();
    let mut spelt = vec![b'{'];
    for (name, value) in members {
        if spelt.len() > 1 {
            spelt.push(b',');
        }
        // The names of the contract need no escapes.
        spelt.extend_from_slice(b"\"");
        spelt.extend_from_slice(name.as_bytes());
        spelt.extend_from_slice(b"\":");
        canonical::write(value, &mut spelt);
    }
    spelt.push(b'}');
    let mut hasher = blake3::Hasher::new_derive_key(CALLBACK_CONTEXT);
    hasher.update(action.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(&spelt);
    finish(&hasher)
}

fn finish(hasher: &blake3::Hasher) -> Digest {
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    digest
}
