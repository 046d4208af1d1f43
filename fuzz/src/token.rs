//! Tokens and their keys: nothing is accepted but what was minted, in the one spelling it was minted in.

use std::{collections::BTreeSet, sync::LazyLock};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use posthaste_protocol::{
    action::Actions,
    id::JobId,
    key_ring::{KeyRing, KeyState},
    token::{Claims, TOKEN_CHARS, TokenKind, mint, verify},
};

use crate::{corpus, surface::Surface};

pub const SURFACE: Surface = Surface {
    name: "token",
    words: &[
        "ph1.", "ph2.", "PH1.", "=", "==", "A", "g", "w", "+", "/", "-", "_", "AAAA", "AQAB", "AQABAQ", ".", " ", "\t",
        "\n", "\r\n", "%41", "%3D", "é", "🦀", "\u{0}", ",", ":", "1:", "2:", "0:", "65535:", "65536:", "01:", "+1:",
        "revoked", "Revoked", "aa", "AA", "0x", "g0",
    ],
    max_bytes: 2400,
    any_bytes: true,
    survives,
};
const NOW_UNIX: i64 = 1_795_248_000;
const KINDS: [TokenKind; 2] = [TokenKind::Callback, TokenKind::Hook];

/// Rings with the same two keys, of which either mints.
static RINGS: LazyLock<[KeyRing; 2]> = LazyLock::new(|| {
    let (one, two) = (format!("1:{}", "a1".repeat(32)), format!("2:{}", "b2".repeat(32)));
    [format!("{one},{two},9:revoked"), format!("{two},{one},9:revoked")]
        .map(|text| KeyRing::parse(&text).expect("a ring"))
});
/// The tokens of the corpus that are good: what was minted.
static MINTED: LazyLock<BTreeSet<Vec<u8>>> =
    LazyLock::new(|| corpus::read_folder("token", "accepted").into_iter().map(|(_, input)| input).collect());

/// The ring that the tokens of the corpus were made with.
pub fn ring() -> &'static KeyRing {
    &RINGS[0]
}

/// Whether this is a token of the corpus, byte for byte.
pub fn is_minted(presented: &[u8]) -> bool {
    MINTED.contains(presented)
}

fn survives(input: &[u8]) -> bool {
    if let Some(disguised) = disguised(input) {
        for kind in KINDS {
            is_token(&disguised, kind);
        }
    }
    comes_back(input);
    KINDS.map(|kind| is_token(input, kind)).contains(&true) || std::str::from_utf8(input).is_ok_and(is_ring)
}

/// Whether it is accepted. Panics unless it then is what was minted.
fn is_token(presented: &[u8], kind: TokenKind) -> bool {
    let [one, two] = &*RINGS;
    let verified = verify(one, presented, kind, NOW_UNIX);
    assert_eq!(verified, verify(two, presented, kind, NOW_UNIX), "the order of the keys matters");
    let Ok(claims) = verified else { return false };
    assert!(is_minted(presented), "a token that nobody minted");
    assert!(claims.kind == kind && claims.expires_at_unix > NOW_UNIX);
    let spelt = [one, two].map(|ring| mint(ring, &claims).expose().as_bytes() == presented);
    assert!(spelt.contains(&true), "a second spelling");
    assert!(verify(one, presented, kind, claims.expires_at_unix).is_err(), "it lives on");
    true
}

/// What has the length of a token, with the head of a genuine one: only its tag then gives it away.
fn disguised(input: &[u8]) -> Option<Vec<u8>> {
    let encoded = input.get(..TOKEN_CHARS)?.strip_prefix(b"ph1.")?;
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    bytes[..4].copy_from_slice(&[1, 0, 1, 1]);
    Some(format!("ph1.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).into_bytes())
}

/// Mints claims made of the input, which must come back, and from no other spelling.
fn comes_back(input: &[u8]) {
    let mut bytes = input.iter().copied().cycle().chain(std::iter::repeat(7));
    let mut take = || std::array::from_fn::<u8, 8, _>(|_| bytes.next().expect("it never ends"));
    let mut number = || i64::from_be_bytes(take()) & i64::MAX;
    let small = |number: i64| i32::try_from(number >> 32).expect("31 bits");
    let kind = KINDS[usize::from(input.len() % 2 == 1)];
    let claims = Claims {
        kind,
        actions: Actions::from_bits(u16::try_from(number() >> 47).expect("16 bits")),
        namespace: small(number()),
        job_id: JobId(number()),
        run_lease: number(),
        wait: small(number()),
        lease_id: number(),
        expires_at_unix: number().max(NOW_UNIX + 1),
        nonce: [number().to_be_bytes(), number().to_be_bytes()].concat().try_into().expect("16 bytes"),
    };
    let token = mint(ring(), &claims);
    let mut text = token.expose().as_bytes().to_vec();
    assert_eq!(verify(ring(), &text, kind, NOW_UNIX), Ok(claims), "it does not come back");
    assert!(verify(ring(), &text, KINDS[usize::from(kind == KINDS[0])], NOW_UNIX).is_err(), "the other kind");
    let at = usize::from(input.first().copied().unwrap_or_default()) % TOKEN_CHARS;
    text[at] = text[at].wrapping_add(1);
    assert!(verify(ring(), &text, kind, NOW_UNIX).is_err(), "a second spelling, changed at {at}");
}

/// Whether the text is a ring. Panics unless such a ring keeps its promises.
fn is_ring(text: &str) -> bool {
    let Ok(ring) = KeyRing::parse(text) else { return false };
    let states: Vec<_> = ring.states().collect();
    let ids: BTreeSet<_> = states.iter().map(|(kid, _)| *kid).collect();
    assert!((1..=32).contains(&states.len()) && ids.len() == states.len() && !ids.contains(&0));
    assert!(states.iter().enumerate().all(|(at, (_, state))| (at == 0) == (*state == KeyState::Mint)));
    assert_eq!(text.matches(':').count(), states.len(), "an entry was lost");
    assert!(format!("{ring:?}").len() < 20 * states.len(), "a key is printed");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_tokens_and_rings_are_judged_as_their_folder_says() {
        for (folder, is_good) in [("accepted", true), ("refused", false), ("rings", true), ("not_rings", false)] {
            for (path, input) in corpus::read_folder("token", folder) {
                assert_eq!(survives(&input), is_good, "{path}");
            }
        }
    }
}
