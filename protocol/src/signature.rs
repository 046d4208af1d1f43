//! Standard Webhooks signatures: `v1,<base64>` of HMAC-SHA256 over `id.timestamp.body`.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, whose
//! published vector is a test below. Any library of that standard verifies what [`sign`] writes.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";
/// The block of SHA-256, and the longest secret.
const BLOCK_BYTES: usize = 64;
/// The shortest secret.
const MIN_BYTES: usize = 24;

/// A signing secret of 24 to 64 bytes. Prints as `[REDACTED]`; wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret {
    /// The key, filled up with zeros to the hash's block. HMAC does the same, so this is the same key, and keying
    /// with a whole block cannot fail.
    block: [u8; BLOCK_BYTES],
    len: usize,
}

/// Why a text or some bytes are not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No `whsec_` before it.
    #[error("a secret begins with whsec_")]
    Prefix,
    /// What follows is not padded standard base64.
    #[error("a secret is whsec_ and standard base64")]
    Base64,
    /// Too short to be safe or longer than the hash's block.
    #[error("a secret has 24 to 64 bytes")]
    Length,
}

impl Secret {
    /// Reads `whsec_` + standard base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        if encoded.len() > 100 {
            return Err(SecretError::Length);
        }
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?);
        Self::from_bytes(&bytes)
    }

    /// A secret of these 24 to 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let mut block = [0; BLOCK_BYTES];
        match block.get_mut(..bytes.len()) {
            Some(head) if bytes.len() >= MIN_BYTES => head.copy_from_slice(bytes),
            _ => return Err(SecretError::Length),
        }
        let secret = Self { block, len: bytes.len() };
        block.zeroize();
        Ok(secret)
    }

    /// The raw bytes, to seal them. Exposes the secret.
    pub fn expose_bytes(&self) -> &[u8] {
        self.block.get(..self.len).unwrap_or(&self.block)
    }

    /// The `whsec_…` text, for the one answer that hands the secret out. Exposes the secret.
    pub fn to_string_secret(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 88));
        text.push_str(PREFIX);
        BASE64_STANDARD.encode_string(self.expose_bytes(), &mut text);
        text
    }

    fn mac(&self, id: &str, timestamp_unix: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.block.into());
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp_unix}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([REDACTED])")
    }
}

/// The `webhook-signature` of `body`: one `v1,<base64>` for each secret, separated by spaces.
///
/// `id` is the `webhook-id` and must hold no dot, or two messages could share a signature. `timestamp_unix` is in
/// seconds.
pub fn sign(secrets: &[Secret], id: &str, timestamp_unix: i64, body: &[u8]) -> String {
    let mut header = String::with_capacity(secrets.len() * 48);
    for secret in secrets {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        BASE64_STANDARD.encode_string(secret.mac(id, timestamp_unix, body).finalize().into_bytes(), &mut header);
    }
    header
}

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// `webhook-timestamp` is not a canonical decimal number of seconds.
    #[error("the timestamp is not a number of unix seconds")]
    Timestamp,
    /// Sent too long ago.
    #[error("the timestamp is too old")]
    TooOld,
    /// Sent in the future.
    #[error("the timestamp is too new")]
    TooNew,
    /// No entry of the header fits any of the secrets.
    #[error("no signature matches")]
    NoMatch,
}

/// Verifies the three `webhook-*` headers of `body` at the time `now_unix`, allowing `tolerance_s` seconds either way.
///
/// Entries that are not `v1` are skipped, and those past the 32nd `v1`. The body is hashed once for each secret, and
/// each comparison takes the same time whatever differs.
pub fn verify(
    secrets: &[Secret],
    id: &str,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now_unix: i64,
    tolerance_s: u32,
) -> Result<(), VerifyError> {
    let sent = sent_at(timestamp, now_unix, tolerance_s)?;
    let entries = signature.split(' ').filter_map(|entry| BASE64_STANDARD.decode(entry.strip_prefix("v1,")?).ok());
    let tags: Vec<_> = entries.take(32).collect();
    let fits = |secret: &Secret| {
        let mac = secret.mac(id, sent, body);
        tags.iter().any(|tag| mac.clone().verify_slice(tag).is_ok())
    };
    if secrets.iter().any(fits) { Ok(()) } else { Err(VerifyError::NoMatch) }
}

/// Reads a canonical number of unix seconds that is at most `tolerance_s` from `now_unix`, either way.
pub(crate) fn sent_at(timestamp: &str, now_unix: i64, tolerance_s: u32) -> Result<i64, VerifyError> {
    let sent: i64 = timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    if sent.to_string() != timestamp {
        return Err(VerifyError::Timestamp);
    }
    let tolerance = i64::from(tolerance_s);
    if sent < now_unix.saturating_sub(tolerance) {
        return Err(VerifyError::TooOld);
    }
    if sent > now_unix.saturating_add(tolerance) {
        return Err(VerifyError::TooNew);
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> Secret {
        Secret::parse(SECRET).unwrap()
    }

    #[test]
    fn the_published_vector_of_standard_webhooks_holds() {
        assert_eq!(sign(&[secret()], ID, AT, BODY), SIGNATURE);
    }

    #[test]
    fn a_signature_is_verified_by_any_of_the_secrets() {
        let other = Secret::from_bytes(&[7; 64]).unwrap();
        let header = sign(&[other.clone(), secret()], ID, AT, BODY);
        assert_eq!(header.split(' ').count(), 2);
        for secrets in [vec![secret()], vec![other.clone()], vec![Secret::from_bytes(&[1; 24]).unwrap(), other]] {
            assert_eq!(verify(&secrets, ID, "1614265330", &header, BODY, AT, 300), Ok(()));
        }
        assert_eq!(verify(&[secret()], ID, "1614265330", &format!("v2,x v1,! {header}"), BODY, AT, 300), Ok(()));
    }

    #[test]
    fn any_change_breaks_the_signature() {
        let check = |id, at: &str, signature, body| verify(&[secret()], id, at, signature, body, AT, 300);
        assert_eq!(check(ID, "1614265330", SIGNATURE, b"{}"), Err(VerifyError::NoMatch));
        assert_eq!(check("msg", "1614265330", SIGNATURE, BODY), Err(VerifyError::NoMatch));
        assert_eq!(check(ID, "1614265331", SIGNATURE, BODY), Err(VerifyError::NoMatch));
        assert_eq!(check(ID, "1614265330", "", BODY), Err(VerifyError::NoMatch));
        assert_eq!(check(ID, "1614265330", "v1,", BODY), Err(VerifyError::NoMatch));
        assert_eq!(check(ID, "+1614265330", SIGNATURE, BODY), Err(VerifyError::Timestamp));
        assert_eq!(check(ID, "soon", SIGNATURE, BODY), Err(VerifyError::Timestamp));
    }

    #[test]
    fn a_signature_ages_in_both_directions() {
        let at = |now| verify(&[secret()], ID, "1614265330", SIGNATURE, BODY, now, 300);
        assert_eq!((at(AT + 300), at(AT - 300)), (Ok(()), Ok(())));
        assert_eq!((at(AT + 301), at(AT - 301)), (Err(VerifyError::TooOld), Err(VerifyError::TooNew)));
        assert_eq!((at(i64::MAX), at(i64::MIN)), (Err(VerifyError::TooOld), Err(VerifyError::TooNew)));
    }

    #[test]
    fn a_secret_has_one_form_and_twenty_four_to_sixty_four_bytes() {
        assert_eq!(*secret().to_string_secret(), SECRET);
        assert_eq!(Secret::parse("MfKQ").unwrap_err(), SecretError::Prefix);
        assert_eq!(Secret::parse("whsec_!").unwrap_err(), SecretError::Base64);
        assert_eq!(Secret::parse(&format!("whsec_{}", "A".repeat(1000))).unwrap_err(), SecretError::Length);
        for len in [0, 23, 65] {
            assert_eq!(Secret::from_bytes(&vec![1; len]).unwrap_err(), SecretError::Length);
        }
        assert_eq!(Secret::from_bytes(&[9; 64]).unwrap().expose_bytes(), [9; 64]);
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        assert_eq!(format!("{:?}", secret()), "Secret([REDACTED])");
    }
}
