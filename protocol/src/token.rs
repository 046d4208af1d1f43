//! Callback tokens: who holds one may end, or keep alive, exactly one run.
//!
//! A token is `ph1.` and the unpadded base64url of 94 bytes, 130 characters in all. Numbers are big-endian:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 2 | key id, 1 to 65535 |
//! | 3 | 1 | kind: 1 a function's callback token, 2 a hook URL |
//! | 4 | 2 | the actions it allows, see [`Actions`] |
//! | 6 | 4 | namespace |
//! | 10 | 8 | job id |
//! | 18 | 8 | run lease |
//! | 26 | 4 | wait number: 0, as each wait of a job is a run of its own |
//! | 30 | 8 | lease id |
//! | 38 | 8 | expiry, seconds since 1970 |
//! | 46 | 16 | the lease's random nonce |
//! | 62 | 32 | tag: BLAKE3 `keyed_hash` of the 62 bytes before it |
//!
//! The key of the tag is BLAKE3 `derive_key` of the master key with that key id, under the context of the kind:
//! `posthaste 2026-11-21 callback token v1` or `posthaste 2026-11-21 hook token v1`. BLAKE3's keyed mode is a MAC by
//! design (<https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf>, section 6). Each token has one
//! spelling: the four unused bits of the last character are zero.
//!
//! Nothing is stored to make a token, and nothing is asked of a database to refuse one. A counter alone would let a
//! token live on when a failover loses the last commits and a run lease is handed out again; the nonce does not.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use blake3::Hash;
use zeroize::ZeroizeOnDrop;

use crate::action::Actions;
use crate::id::JobId;
use crate::key_ring::{KeyRing, Known};
use crate::word::words;

/// The length of a token, in characters.
pub const TOKEN_CHARS: usize = PREFIX.len() + ENCODED_CHARS;
/// How long after the hard end of its run a token expires, in seconds: clocks differ.
pub const EXPIRY_GRACE_S: i64 = 600;

const PREFIX: &str = "ph1.";
const VERSION: u8 = 1;
const TOKEN_BYTES: usize = 94;
const ENCODED_CHARS: usize = 126;
const TAG_AT: usize = 62;
/// Stands in for a key that is not in the ring, so that refusing takes as long as it does with one. A tag made with
/// it proves nothing, and is refused.
const NO_KEY: [u8; 32] = [0; 32];

/// What a token is for. A token of one kind is never accepted as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A function's callback token: `POST /v1/callbacks/…`.
    Callback,
    /// The capability in a hook URL, for third parties: `POST /v1/hooks/…`.
    Hook,
}

impl TokenKind {
    /// The kind's byte.
    const fn byte(self) -> u8 {
        match self {
            Self::Callback => 1,
            Self::Hook => 2,
        }
    }

    /// The purpose of the keys derived for this kind; another purpose has another context, hence unrelated keys.
    pub(crate) const fn context(self) -> &'static str {
        match self {
            Self::Callback => "posthaste 2026-11-21 callback token v1",
            Self::Hook => "posthaste 2026-11-21 hook token v1",
        }
    }
}

/// What a token says: which run it is for, and what its holder may do to it. Numbers are never negative.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// What the token is for.
    pub kind: TokenKind,
    /// What its holder may do.
    pub actions: Actions,
    /// The namespace of the job.
    pub namespace: i32,
    /// The job.
    pub job_id: JobId,
    /// The run's fencing number.
    pub run_lease: i64,
    /// Which wait of the run: 0 is the run itself.
    pub wait: i32,
    /// The claim batch that took the run.
    pub lease_id: i64,
    /// The first second, since 1970, in which the token is no longer accepted.
    pub expires_at_unix: i64,
    /// The random nonce of the lease: what an old token does not know of a newer lease with the same number.
    pub nonce: [u8; 16],
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("kind", &self.kind)
            .field("actions", &self.actions)
            .field("namespace", &self.namespace)
            .field("job_id", &self.job_id)
            .field("run_lease", &self.run_lease)
            .field("wait", &self.wait)
            .field("lease_id", &self.lease_id)
            .field("expires_at_unix", &self.expires_at_unix)
            .field("nonce", &"[REDACTED]")
            .finish()
    }
}

/// A minted token. Prints as `[REDACTED]`; wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Token {
    text: [u8; TOKEN_CHARS],
}

impl Token {
    /// The [`TOKEN_CHARS`] characters. Exposes the token.
    pub fn expose(&self) -> &str {
        // Base64url is ASCII, so the text is always there.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}

words! {
    /// Why a token is refused: for metrics and logs, never for who presented it.
    pub enum TokenFault {
        /// Not `ph1.` and 126 characters of canonical base64url.
        Malformed = "malformed",
        /// A layout that is not known here.
        UnknownVersion = "unknown_version",
        /// A token of the other kind.
        WrongKind = "wrong_kind",
        /// Its key is not in the ring.
        UnknownKey = "unknown_key",
        /// Its key was revoked.
        RevokedKey = "revoked_key",
        /// The tag does not fit: not ours, or changed.
        Forged = "forged",
        /// Genuine, but its time is over.
        Expired = "expired",
    }
}

/// A token that is not accepted. Reads the same whatever is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the callback token is not valid")]
pub struct InvalidToken {
    fault: TokenFault,
}

impl InvalidToken {
    /// What is wrong, for metrics and logs. Not to be told to whoever presented the token.
    pub const fn fault(self) -> TokenFault {
        self.fault
    }
}

/// Makes the token of `claims` with the ring's minting key. Allocates nothing.
pub fn mint(ring: &KeyRing, claims: &Claims) -> Token {
    let (kid, key) = ring.minting(claims.kind);
    let mut bytes = [0; TOKEN_BYTES];
    put::<0, 1>(&mut bytes, [VERSION]);
    put::<1, 2>(&mut bytes, kid.to_be_bytes());
    put::<3, 1>(&mut bytes, [claims.kind.byte()]);
    put::<4, 2>(&mut bytes, claims.actions.bits().to_be_bytes());
    put::<6, 4>(&mut bytes, claims.namespace.to_be_bytes());
    put::<10, 8>(&mut bytes, claims.job_id.0.to_be_bytes());
    put::<18, 8>(&mut bytes, claims.run_lease.to_be_bytes());
    put::<26, 4>(&mut bytes, claims.wait.to_be_bytes());
    put::<30, 8>(&mut bytes, claims.lease_id.to_be_bytes());
    put::<38, 8>(&mut bytes, claims.expires_at_unix.to_be_bytes());
    put::<46, 16>(&mut bytes, claims.nonce);
    let tag = tag(key, &bytes);
    put::<TAG_AT, 32>(&mut bytes, *tag.as_bytes());
    encode(&bytes)
}

/// Checks the token that somebody `presented` as one of this kind, at the time `now_unix`.
///
/// Whatever is presented, one tag is computed and compared in constant time, so that a refusal tells no more by its
/// time than by its text; nothing is allocated. Whether the claims allow an action is the caller's next question.
pub fn verify(ring: &KeyRing, presented: &[u8], kind: TokenKind, now_unix: i64) -> Result<Claims, InvalidToken> {
    let decoded = decode(presented);
    let bytes = decoded.unwrap_or([0; TOKEN_BYTES]);
    let (key, known) = match ring.find(u16::from_be_bytes(get::<1, 2>(&bytes)), kind) {
        Known::Key(key) => (key, None),
        Known::Revoked => (&NO_KEY, Some(TokenFault::RevokedKey)),
        Known::Unknown => (&NO_KEY, Some(TokenFault::UnknownKey)),
    };
    let genuine = tag(key, &bytes) == get::<TAG_AT, 32>(&bytes);
    let claims = read(&bytes, kind);
    let fault = if decoded.is_none() {
        Some(TokenFault::Malformed)
    } else if bytes[0] != VERSION {
        Some(TokenFault::UnknownVersion)
    } else if get::<3, 1>(&bytes) != [kind.byte()] {
        Some(TokenFault::WrongKind)
    } else if known.is_some() {
        known
    } else if !genuine {
        Some(TokenFault::Forged)
    } else if now_unix >= claims.expires_at_unix {
        Some(TokenFault::Expired)
    } else {
        None
    };
    fault.map_or(Ok(claims), |fault| Err(InvalidToken { fault }))
}

fn read(bytes: &[u8; TOKEN_BYTES], kind: TokenKind) -> Claims {
    Claims {
        kind,
        actions: Actions::from_bits(u16::from_be_bytes(get::<4, 2>(bytes))),
        namespace: i32::from_be_bytes(get::<6, 4>(bytes)),
        job_id: JobId(i64::from_be_bytes(get::<10, 8>(bytes))),
        run_lease: i64::from_be_bytes(get::<18, 8>(bytes)),
        wait: i32::from_be_bytes(get::<26, 4>(bytes)),
        lease_id: i64::from_be_bytes(get::<30, 8>(bytes)),
        expires_at_unix: i64::from_be_bytes(get::<38, 8>(bytes)),
        nonce: get::<46, 16>(bytes),
    }
}

/// The tag of what comes before it. `Hash` compares in constant time.
fn tag(key: &[u8; 32], bytes: &[u8; TOKEN_BYTES]) -> Hash {
    blake3::keyed_hash(key, &bytes[..TAG_AT])
}

fn encode(bytes: &[u8; TOKEN_BYTES]) -> Token {
    let mut text = [0; TOKEN_CHARS];
    text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
    let written = BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut text[PREFIX.len()..]);
    debug_assert_eq!(written, Ok(ENCODED_CHARS), "the text has the room that 94 bytes take");
    Token { text }
}

/// The bytes of a well-formed token; refuses padding, other alphabets and unused bits that are set.
fn decode(presented: &[u8]) -> Option<[u8; TOKEN_BYTES]> {
    let encoded = presented.strip_prefix(PREFIX.as_bytes()).filter(|encoded| encoded.len() == ENCODED_CHARS)?;
    // Two bytes more than needed: the decoder asks for room by whole groups of four characters.
    let mut bytes = [0; TOKEN_BYTES + 2];
    BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
    bytes.first_chunk().copied()
}

/// Writes a field of `N` bytes at `AT`.
fn put<const AT: usize, const N: usize>(bytes: &mut [u8; TOKEN_BYTES], field: [u8; N]) {
    const { assert!(AT + N <= TOKEN_BYTES) };
    bytes[AT..AT + N].copy_from_slice(&field);
}

/// Reads the field of `N` bytes at `AT`.
fn get<const AT: usize, const N: usize>(bytes: &[u8; TOKEN_BYTES]) -> [u8; N] {
    const { assert!(AT + N <= TOKEN_BYTES) };
    std::array::from_fn(|n| bytes[AT + n])
}

#[cfg(test)]
mod tests;
