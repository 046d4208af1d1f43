//! Credentials: the token of a request, checked before its body is read and before anything is asked of the database.

use std::fmt;

use http::{HeaderMap, header};
use posthaste_protocol::{
    key_ring::KeyRing,
    token::{Claims, InvalidToken, TokenKind, verify},
};
use posthaste_service::clock;

/// Reads and checks the token: that of the path, else that of `authorization: Bearer`. One answer and one duration for every
/// token that is not accepted, and for none at all.
pub fn check(
    ring: &KeyRing,
    in_path: Option<&str>,
    headers: &HeaderMap,
    kind: TokenKind,
) -> Result<Claims, InvalidToken> {
    let presented = in_path.map(str::as_bytes).or_else(|| bearer(headers)).unwrap_or_default();
    verify(ring, presented, kind, clock::unix_now())
}

/// The credential of `authorization: Bearer`, if there is exactly one.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, credential) = values.next()?.as_bytes().split_at_checked(7)?;
    let alone = values.next().is_none();
    (alone && scheme.eq_ignore_ascii_case(b"bearer ")).then(|| credential.trim_ascii())
}

/// A token in a log: enough to tell two apart, and of no use to anybody.
pub struct Fingerprint<'t>(pub &'t Claims);

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claims { job_id, run_lease, lease_id, nonce, .. } = self.0;
        let mut hasher = blake3::Hasher::new();
        for part in [&job_id.0.to_be_bytes()[..], &run_lease.to_be_bytes(), &lease_id.to_be_bytes(), nonce] {
            hasher.update(part);
        }
        hasher.finalize().as_bytes()[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_scheme_has_no_case_and_comes_once() {
        assert_eq!(bearer(&headers(&["Bearer ph1.x"])), Some(&b"ph1.x"[..]));
        assert_eq!(bearer(&headers(&["bEARER  ph1.x "])), Some(&b"ph1.x"[..]));
        for bad in [&[][..], &["Bearer"], &["Basic ph1.x"], &["Bearer ph1.x", "Bearer ph1.y"]] {
            assert_eq!(bearer(&headers(bad)), None, "{bad:?}");
        }
    }
}
