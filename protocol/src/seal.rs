//! Secrets at rest: sealed with XChaCha20-Poly1305 under the keys of `POSTHASTE_SECRET_KEYS`.
//!
//! | sealed bytes | length |
//! |---|---|
//! | key id, big-endian | 2 |
//! | nonce | 24 |
//! | ciphertext and tag | plaintext + 16 |
//!
//! The associated text (say `endpoint/pdf`) is authenticated but not stored, so that a sealed secret cannot be moved
//! to another row.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::master_key::{self, Fault, master};

/// The purpose of the keys derived here; another purpose has another context, hence unrelated keys.
const CONTEXT: &str = "posthaste 2026-11-21 secrets at rest v1";
const KID_BYTES: usize = 2;
const NONCE_BYTES: usize = 24;

/// The ring of sealing keys: the first seals, all open. Prints key ids only; wiped when dropped.
#[derive(Clone)]
pub struct SealKeys {
    /// The key that seals, then the others.
    keys: Vec<(u16, Zeroizing<[u8; 32]>)>,
}

/// Why a text is not a key ring. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealKeysError {
    /// There is no key in it.
    #[error("there is no key: expected kid:hex64[,kid:hex64]")]
    Empty,
    /// An entry (counted from 1) is not `kid:hex64` with `kid` 1 to 65535.
    #[error("key {0} is not kid:hex64, with kid 1 to 65535 and 64 hexadecimal digits")]
    Entry(usize),
    /// Two keys have this id.
    #[error("key id {0} is given twice")]
    Duplicate(u16),
    /// More than 32 keys.
    #[error("there are more than 32 keys")]
    TooMany,
}

/// Why sealed bytes cannot be opened, or nothing could be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed under a key that is no longer, or not yet, in the ring.
    #[error("there is no secret key with id {0}")]
    UnknownKey(u16),
    /// Not ours, cut short, changed, or of another row.
    #[error("the sealed secret is damaged or belongs elsewhere")]
    Damaged,
    /// The plaintext is too long to seal (256 GiB).
    #[error("the secret is too long")]
    TooLong,
}

impl SealKeys {
    /// Reads `kid:hex64[,kid:hex64…]`; white space around entries, as at the end of a file, does not matter.
    pub fn parse(text: &str) -> Result<Self, SealKeysError> {
        let derived = |hex: &str| master(hex).map(|key| Zeroizing::new(blake3::derive_key(CONTEXT, key.as_slice())));
        let keys = master_key::entries(text, derived).map_err(|fault| match fault {
            Fault::Empty => SealKeysError::Empty,
            Fault::Entry(index) => SealKeysError::Entry(index),
            Fault::Duplicate(kid) => SealKeysError::Duplicate(kid),
            Fault::TooMany => SealKeysError::TooMany,
        })?;
        Ok(Self { keys })
    }

    /// Seals `plaintext` for the place named by `associated`, under the first key. `nonce` must be random and new
    /// for every call. Only a plaintext past 256 GiB fails.
    pub fn seal(&self, plaintext: &[u8], associated: &str, nonce: [u8; 24]) -> Result<Vec<u8>, SealError> {
        // `parse` lets no empty ring through, so there is always a first key.
        let (kid, key) = self.keys.first().ok_or(SealError::UnknownKey(0))?;
        let payload = Payload { msg: plaintext, aad: associated.as_bytes() };
        let ciphertext = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        let mut sealed = Vec::with_capacity(KID_BYTES + NONCE_BYTES + ciphertext.len());
        sealed.extend_from_slice(&kid.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what [`SealKeys::seal`] made for the same `associated` place.
    pub fn open(&self, sealed: &[u8], associated: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (kid, rest) = sealed.split_first_chunk::<KID_BYTES>().ok_or(SealError::Damaged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Damaged)?;
        let kid = u16::from_be_bytes(*kid);
        let (_, key) = self.keys.iter().find(|(id, _)| *id == kid).ok_or(SealError::UnknownKey(kid))?;
        let payload = Payload { msg: ciphertext, aad: associated.as_bytes() };
        let plaintext = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Damaged)?;
        Ok(Zeroizing::new(plaintext))
    }
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.keys.iter().map(|(kid, _)| (kid, "[REDACTED]"));
        f.debug_map().entries(entries).finish()
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> SealKeys {
        SealKeys::parse(text).unwrap()
    }

    fn entry(kid: u16, digit: char) -> String {
        format!("{kid}:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let keys = keys(&entry(1, 'a'));
        let sealed = keys.seal(b"secret", "endpoint/pdf", [3; 24]).unwrap();
        assert_eq!(sealed.len(), 2 + 24 + 6 + 16);
        assert_eq!(keys.open(&sealed, "endpoint/pdf").unwrap().as_slice(), b"secret");
        assert_eq!(keys.open(&sealed, "endpoint/other").unwrap_err(), SealError::Damaged);
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let keys = keys(&entry(1, 'a'));
        let sealed = keys.seal(b"secret", "x", [3; 24]).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(&changed, "x").is_err(), "{at}");
            assert!(keys.open(&sealed[..at], "x").is_err(), "{at}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = keys(&entry(1, 'a'));
        let ring = keys(&format!(" {},\n{}\n", entry(2, 'B'), entry(1, 'a')));
        let sealed = old.seal(b"s", "x", [0; 24]).unwrap();
        assert_eq!(ring.open(&sealed, "x").unwrap().as_slice(), b"s");
        assert_eq!(ring.seal(b"s", "x", [0; 24]).unwrap()[..2], [0, 2]);
        let new = ring.seal(b"s", "x", [0; 24]).unwrap();
        assert_eq!(old.open(&new, "x").unwrap_err(), SealError::UnknownKey(2));
    }

    #[test]
    fn a_broken_ring_is_refused() {
        assert_eq!(SealKeys::parse(" \n").unwrap_err(), SealKeysError::Empty);
        for bad in ["1", "1:ab", &entry(0, 'a'), "65536:", &entry(1, 'g'), "+1:", &format!("{},", entry(1, 'a'))] {
            assert!(matches!(SealKeys::parse(bad), Err(SealKeysError::Entry(_))), "{bad}");
        }
        let twice = format!("{},{}", entry(7, 'a'), entry(7, 'b'));
        assert_eq!(SealKeys::parse(&twice).unwrap_err(), SealKeysError::Duplicate(7));
        let many: Vec<_> = (1..=33).map(|kid| entry(kid, 'a')).collect();
        assert_eq!(SealKeys::parse(&many.join(",")).unwrap_err(), SealKeysError::TooMany);
    }

    #[test]
    fn keys_cannot_be_printed() {
        assert_eq!(format!("{:?}", keys(&entry(9, 'a'))), r#"{9: "[REDACTED]"}"#);
    }
}
