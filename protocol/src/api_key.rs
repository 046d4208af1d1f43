//! API keys: `ph_<key id>_<secret>_<check>`, stored only as a hash.
//!
//! | part | form |
//! |---|---|
//! | key id | 8 base-62 digits; public, names the row |
//! | secret | 43 base-62 digits of 32 random bytes |
//! | check | 6 base-62 digits of a hash of what comes before, so that a typo, or a leak scanner, needs no database |

use std::fmt;

use zeroize::Zeroizing;

use crate::word::words;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: &str = "ph";
const KID_DIGITS: usize = 8;
const SECRET_DIGITS: usize = 43;
const CHECK_DIGITS: usize = 6;
const VERIFIER_CONTEXT: &str = "posthaste 2026-11-21 api key verifier v1";
const CHECK_CONTEXT: &str = "posthaste 2026-11-21 api key check digits v1";
/// The shortest and the longest bootstrap key, in characters.
const BOOTSTRAP_CHARS: std::ops::RangeInclusive<usize> = 32..=1024;

words! {
    /// What an API key may do.
    pub enum Scope {
        /// Enqueue jobs.
        Enqueue = "enqueue",
        /// Read jobs, endpoints, queues and statistics.
        Read = "read",
        /// Cancel jobs.
        Cancel = "cancel",
        /// Retry, redrive, pause, and write endpoints and queues.
        Operate = "operate",
        /// Everything, keys included.
        Admin = "admin",
    }
}

impl Scope {
    /// Whether a key that holds this scope may do what `needed` covers: its own, and everything for `admin`.
    pub fn grants(self, needed: Self) -> bool {
        self == needed || self == Self::Admin
    }
}

/// Why a text is not an API key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Not `ph_<8>_<43>_<6>` in base-62 digits.
    #[error("this is not an API key of the form ph_…")]
    Form,
    /// The check digits do not fit: mistyped or cut.
    #[error("the API key is mistyped: its check digits do not fit")]
    Check,
    /// A bootstrap key must have 32 to 1024 characters.
    #[error("a bootstrap API key needs 32 to 1024 characters")]
    BootstrapLength,
    /// A bootstrap key must be printable, without a space at either end.
    #[error("a bootstrap API key must be printable and must not begin or end with a space")]
    BootstrapCharacter,
}

/// A minted key in the clear, as shown once. Prints its key id only; wiped when dropped.
#[derive(Clone)]
pub struct ApiKey {
    text: Zeroizing<String>,
}

impl ApiKey {
    /// Makes a key of 40 random bytes: 8 for the key id, 32 for the secret.
    pub fn mint(random: [u8; 40]) -> Self {
        let random = Zeroizing::new(random);
        let (kid, secret) = random.split_at(8);
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(PREFIX);
        text.push('_');
        push_base62(kid, KID_DIGITS, &mut text);
        text.push('_');
        push_base62(secret, SECRET_DIGITS, &mut text);
        push_check(&mut text);
        Self { text }
    }

    /// Reads a key's text and checks its check digits; says nothing about whether anybody minted it.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let mut parts = text.split('_');
        let well_formed = parts.next() == Some(PREFIX)
            && [KID_DIGITS, SECRET_DIGITS, CHECK_DIGITS]
                .iter()
                .all(|&len| parts.next().is_some_and(|part| is_base62(part, len)))
            && parts.next().is_none();
        if !well_formed {
            return Err(ApiKeyError::Form);
        }
        let unchecked = text.rsplit_once('_').map_or(text, |(head, _)| head);
        let mut expected = Zeroizing::new(unchecked.to_owned());
        push_check(&mut expected);
        if *expected != text {
            return Err(ApiKeyError::Check);
        }
        Ok(Self { text: expected })
    }

    /// The key id: 8 characters, not secret.
    pub fn kid(&self) -> &str {
        self.text.split('_').nth(1).unwrap_or_default()
    }

    /// The whole key, to show it once. Exposes the secret.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored instead of the key.
    pub fn verifier(&self) -> Verifier {
        Verifier::of(&self.text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, [REDACTED])", self.kid())
    }
}

/// The 32-byte hash of a key: what is stored, and compared in constant time.
///
/// A plain hash suffices because keys are random; a bootstrap key is only as good as what its owner chose.
#[derive(Clone, Copy)]
pub struct Verifier(blake3::Hash);

impl Verifier {
    /// The verifier of the text somebody presents, whatever it is.
    pub fn of(presented: &str) -> Self {
        Self(blake3::Hash::from_bytes(blake3::derive_key(VERIFIER_CONTEXT, presented.as_bytes())))
    }

    /// A stored verifier; `None` unless it has 32 bytes.
    pub fn from_bytes(stored: &[u8]) -> Option<Self> {
        blake3::Hash::from_slice(stored).ok().map(Self)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl PartialEq for Verifier {
    /// Constant time, as `blake3::Hash` compares.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Verifier {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier([REDACTED])")
    }
}

/// The verifier of `POSTHASTE_API_KEY`: any printable text of 32 to 1024 characters.
pub fn bootstrap_verifier(key: &str) -> Result<Verifier, ApiKeyError> {
    if !BOOTSTRAP_CHARS.contains(&key.chars().count()) {
        return Err(ApiKeyError::BootstrapLength);
    }
    if key.chars().any(char::is_control) || key.trim().len() != key.len() {
        return Err(ApiKeyError::BootstrapCharacter);
    }
    Ok(Verifier::of(key))
}

fn is_base62(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Appends `_` and the check digits of what `text` holds.
fn push_check(text: &mut String) {
    let hash = blake3::derive_key(CHECK_CONTEXT, text.as_bytes());
    text.push('_');
    push_base62(&hash, CHECK_DIGITS, text);
}

/// Appends the lowest `digits` base-62 digits of `bytes`, read as one big-endian number, most significant first.
fn push_base62(bytes: &[u8], digits: usize, text: &mut String) {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut reversed = Zeroizing::new(Vec::with_capacity(digits));
    for _ in 0..digits {
        let mut remainder = 0_usize;
        for byte in number.iter_mut() {
            let dividend = remainder * 256 + usize::from(*byte);
            // A remainder below 62 keeps the quotient below 256.
            *byte = u8::try_from(dividend / DIGITS.len()).unwrap_or(u8::MAX);
            remainder = dividend % DIGITS.len();
        }
        reversed.push(DIGITS[remainder]);
    }
    text.extend(reversed.iter().rev().map(|&digit| char::from(digit)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> [u8; 40] {
        std::array::from_fn(|n| u8::try_from(n * 7 % 256).unwrap())
    }

    #[test]
    fn a_minted_key_has_its_form_and_comes_back() {
        let key = ApiKey::mint(random());
        let lengths: Vec<_> = key.expose().split('_').map(str::len).collect();
        assert_eq!(lengths, [2, 8, 43, 6]);
        let back = ApiKey::parse(key.expose()).unwrap();
        assert_eq!(back.kid(), key.kid());
        assert_eq!(back.verifier(), key.verifier());
        assert_eq!(Verifier::from_bytes(key.verifier().as_bytes()), Some(Verifier::of(key.expose())));
    }

    #[test]
    fn the_largest_secret_fits_forty_three_digits() {
        let key = ApiKey::mint([255; 40]);
        let parts: Vec<_> = key.expose().split('_').collect();
        assert_eq!(parts[1..3], ["Ha16AHYF", "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"]);
    }

    #[test]
    fn one_wrong_character_is_noticed() {
        let key = ApiKey::mint(random());
        let text = key.expose();
        for at in 0..text.len() {
            let swapped = if &text[at..=at] == "a" { "b" } else { "a" };
            let typo = format!("{}{swapped}{}", &text[..at], &text[at + 1..]);
            assert!(ApiKey::parse(&typo).is_err(), "{at}");
        }
        for bad in ["", "ph", "ph___", &text[1..], &text[..text.len() - 1], &format!("{text}_"), &format!("{text} ")] {
            assert_eq!(ApiKey::parse(bad).unwrap_err(), ApiKeyError::Form, "{bad}");
        }
    }

    #[test]
    fn a_verifier_knows_its_own_key_only() {
        assert_ne!(Verifier::of("a"), Verifier::of("b"));
        assert_eq!(Verifier::from_bytes(&[1; 31]), None);
    }

    #[test]
    fn a_bootstrap_key_is_any_long_printable_text() {
        let key = "correct horse battery staple, ok?";
        assert_eq!(bootstrap_verifier(key), Ok(Verifier::of(key)));
        assert!(bootstrap_verifier(&"é".repeat(32)).is_ok());
        assert_eq!(bootstrap_verifier(&"x".repeat(31)), Err(ApiKeyError::BootstrapLength));
        assert_eq!(bootstrap_verifier(&"x".repeat(1025)), Err(ApiKeyError::BootstrapLength));
        assert_eq!(bootstrap_verifier(&format!("{}\n", "x".repeat(32))), Err(ApiKeyError::BootstrapCharacter));
        assert_eq!(bootstrap_verifier(&format!(" {}", "x".repeat(32))), Err(ApiKeyError::BootstrapCharacter));
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let key = ApiKey::mint(random());
        assert_eq!(format!("{key:?}"), format!("ApiKey({}, [REDACTED])", key.kid()));
        assert_eq!(format!("{:?}", key.verifier()), "Verifier([REDACTED])");
    }

    #[test]
    fn admin_grants_everything_and_the_others_themselves() {
        for &needed in Scope::ALL {
            assert!(Scope::Admin.grants(needed) && needed.grants(needed));
        }
        assert!(!Scope::Operate.grants(Scope::Admin) && !Scope::Read.grants(Scope::Enqueue));
        assert!("root".parse::<Scope>().is_err());
    }
}
