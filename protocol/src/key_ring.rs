//! The ring of keys that callback tokens are made with: `POSTHASTE_TOKEN_KEYS`.
//!
//! The setting is `kid:hex64[,kid:hex64…]`, with `kid` 1 to 65535 and a master key of 32 bytes in hexadecimal. Every
//! process that dispatches or takes callbacks needs the same ring.
//!
//! | state | in the setting | tokens of that key |
//! |---|---|---|
//! | mint | the first entry | are made and accepted |
//! | accept | any other entry | are accepted |
//! | revoked | `kid:revoked` | are refused, as are those of a key that is not in the ring |
//!
//! To rotate without refusing anybody: add the new key at the end, everywhere; then move it to the front, everywhere;
//! and remove the old one when the last of its tokens has expired, at most 30 days and 10 minutes later. Revoking ends
//! a leaked key at once: its callbacks are refused, and their runs time out and are tried again under the new key.
//!
//! A ring never changes. To reload, parse a new one and put it in the place of the old.

use std::fmt;

use zeroize::Zeroizing;

use crate::master_key::{self, Fault, MasterKey};
use crate::token::TokenKind;
use crate::word::words;

words! {
    /// What a key of the ring is used for.
    pub enum KeyState {
        /// New tokens are made with it, and its tokens are accepted.
        Mint = "mint",
        /// Its tokens are accepted.
        Accept = "accept",
        /// Its tokens are refused.
        Revoked = "revoked",
    }
}

/// A key derived from a master key for one kind of token; wiped when dropped.
type DerivedKey = Zeroizing<[u8; 32]>;

/// The keys of callback tokens. Prints key ids and states only; wiped when dropped.
#[derive(Clone)]
pub struct KeyRing {
    /// The key that mints.
    mint: (u16, DerivedKeys),
    /// The others, in the setting's order.
    others: Vec<(u16, Entry)>,
}

/// What follows a key id in the setting.
#[derive(Clone)]
enum Entry {
    Key(DerivedKeys),
    Revoked,
}

/// What one master key gives: a key for each kind of token.
#[derive(Clone)]
struct DerivedKeys {
    callback: DerivedKey,
    hook: DerivedKey,
}

/// Why a text is not a ring of token keys: names the setting and what to do. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key in it.
    #[error("POSTHASTE_TOKEN_KEYS has no key: set it to kid:hex64, as 1:$(openssl rand -hex 32) gives")]
    Empty,
    /// An entry, counted from 1, cannot be read.
    #[error(
        "POSTHASTE_TOKEN_KEYS: entry {0} is not kid:hex64 or kid:revoked; kid is 1 to 65535, hex64 is 64 hexadecimal \
         digits, as openssl rand -hex 32 gives"
    )]
    Entry(usize),
    /// Two entries have this key id.
    #[error("POSTHASTE_TOKEN_KEYS: key id {0} is given twice; give the new key an id that was never used")]
    Duplicate(u16),
    /// The first entry is revoked.
    #[error("POSTHASTE_TOKEN_KEYS: the first key mints and cannot be revoked; put the key that is to mint first")]
    MintRevoked,
    /// More than 32 entries.
    #[error("POSTHASTE_TOKEN_KEYS: there are more than 32 keys; remove those whose tokens have expired")]
    TooMany,
}

/// What the ring knows of a key id.
pub(crate) enum Known<'r> {
    /// Its tokens are accepted; the key of the kind that was asked for.
    Key(&'r [u8; 32]),
    Revoked,
    Unknown,
}

impl KeyRing {
    /// Reads `kid:hex64[,kid:hex64…]`; white space around entries, as at the end of a file, does not matter.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let entries = master_key::entries(text, read_entry).map_err(|fault| match fault {
            Fault::Empty => KeyRingError::Empty,
            Fault::Entry(index) => KeyRingError::Entry(index),
            Fault::Duplicate(kid) => KeyRingError::Duplicate(kid),
            Fault::TooMany => KeyRingError::TooMany,
        })?;
        let mut entries = entries.into_iter();
        match entries.next().ok_or(KeyRingError::Empty)? {
            (kid, Entry::Key(keys)) => Ok(Self { mint: (kid, keys), others: entries.collect() }),
            (_, Entry::Revoked) => Err(KeyRingError::MintRevoked),
        }
    }

    /// Every key id with its state, in the setting's order: the one that mints comes first.
    pub fn states(&self) -> impl Iterator<Item = (u16, KeyState)> {
        let others = self.others.iter().map(|(kid, entry)| match entry {
            Entry::Key(_) => (*kid, KeyState::Accept),
            Entry::Revoked => (*kid, KeyState::Revoked),
        });
        std::iter::once((self.mint.0, KeyState::Mint)).chain(others)
    }

    /// The id of the key that mints, and its key for this kind.
    pub(crate) fn minting(&self, kind: TokenKind) -> (u16, &[u8; 32]) {
        (self.mint.0, self.mint.1.of(kind))
    }

    /// The key with this id for this kind.
    pub(crate) fn find(&self, key_id: u16, kind: TokenKind) -> Known<'_> {
        if key_id == self.mint.0 {
            return Known::Key(self.mint.1.of(kind));
        }
        match self.others.iter().find(|(other, _)| *other == key_id) {
            Some((_, Entry::Key(keys))) => Known::Key(keys.of(kind)),
            Some((_, Entry::Revoked)) => Known::Revoked,
            None => Known::Unknown,
        }
    }
}

impl DerivedKeys {
    fn of_master(master: &MasterKey) -> Self {
        let derive = |kind: TokenKind| Zeroizing::new(blake3::derive_key(kind.context(), master.as_slice()));
        Self { callback: derive(TokenKind::Callback), hook: derive(TokenKind::Hook) }
    }

    fn of(&self, kind: TokenKind) -> &[u8; 32] {
        match kind {
            TokenKind::Callback => &self.callback,
            TokenKind::Hook => &self.hook,
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.states()).finish()
    }
}

/// Reads `hex64` or `revoked`.
fn read_entry(value: &str) -> Option<Entry> {
    if value == KeyState::Revoked.as_str() {
        return Some(Entry::Revoked);
    }
    master_key::master(value).map(|master| Entry::Key(DerivedKeys::of_master(&master)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kid: u16, digit: char) -> String {
        format!("{kid}:{}", digit.to_string().repeat(64))
    }

    fn error(text: &str) -> KeyRingError {
        KeyRing::parse(text).unwrap_err()
    }

    #[test]
    fn the_first_key_mints_and_the_others_are_accepted_or_revoked() {
        let ring = KeyRing::parse(&format!(" {},\n{},9:revoked\n", entry(2, 'B'), entry(1, 'a'))).unwrap();
        let states: Vec<_> = ring.states().collect();
        assert_eq!(states, [(2, KeyState::Mint), (1, KeyState::Accept), (9, KeyState::Revoked)]);
        assert_eq!(ring.minting(TokenKind::Hook).0, 2);
        assert!(matches!(ring.find(1, TokenKind::Hook), Known::Key(_)));
        assert!(matches!(ring.find(9, TokenKind::Hook), Known::Revoked));
        assert!(matches!(ring.find(3, TokenKind::Hook), Known::Unknown));
    }

    #[test]
    fn each_kind_and_each_master_key_has_a_key_of_its_own() {
        let ring = KeyRing::parse(&format!("{},{}", entry(1, 'a'), entry(2, 'b'))).unwrap();
        let mut keys = Vec::new();
        for kid in [1, 2] {
            for kind in [TokenKind::Callback, TokenKind::Hook] {
                let Known::Key(key) = ring.find(kid, kind) else { panic!("{kid} is in the ring") };
                keys.push(*key);
            }
        }
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), 4);
        assert!(!keys.contains(&[0xaa; 32]), "the master key itself is never used");
    }

    #[test]
    fn a_broken_ring_is_refused_with_the_setting_and_without_the_key() {
        assert_eq!(error(" \n"), KeyRingError::Empty);
        for bad in ["1", "1:ab", "1:Revoked", &entry(0, 'a'), "65536:", &entry(1, 'g'), &format!("{},", entry(1, 'a'))]
        {
            assert!(matches!(error(bad), KeyRingError::Entry(_)), "{bad}");
        }
        assert_eq!(error(&format!("{},x", entry(1, 'a'))), KeyRingError::Entry(2));
        assert_eq!(error(&format!("{},{}", entry(7, 'a'), entry(7, 'b'))), KeyRingError::Duplicate(7));
        assert_eq!(error(&format!("{},7:revoked", entry(7, 'a'))), KeyRingError::Duplicate(7));
        assert_eq!(error(&format!("1:revoked,{}", entry(2, 'b'))), KeyRingError::MintRevoked);
        let many: Vec<_> = (1..=33).map(|kid| entry(kid, 'a')).collect();
        assert_eq!(error(&many.join(",")), KeyRingError::TooMany);
        let shown = error("1:hunter2").to_string();
        assert!(shown.starts_with("POSTHASTE_TOKEN_KEYS") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn keys_cannot_be_printed() {
        let ring = KeyRing::parse(&format!("{},8:revoked", entry(9, 'a'))).unwrap();
        assert_eq!(format!("{ring:?}"), "{9: Mint, 8: Revoked}");
    }
}
