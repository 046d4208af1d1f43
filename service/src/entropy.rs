//! The one source of randomness.

use rand::{Rng as _, RngExt as _};

/// Fills `bytes` from a cryptographically secure generator seeded by the operating system.
pub fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}

/// Sixteen unpredictable bytes: nonces, trace ids, dispatcher ids. Never all zero.
pub fn nonce16() -> [u8; 16] {
    nonzero()
}

/// Eight unpredictable bytes: W3C span ids, suffixes of names. Never all zero, which W3C forbids.
pub fn span_id() -> [u8; 8] {
    nonzero()
}

/// A uniform number in `[0, 1)` for spreading retries and polls; cheap, from a per-thread generator.
pub fn jitter() -> f64 {
    rand::rng().random()
}

fn nonzero<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    while bytes == [0; N] {
        fill(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_half_open_range() {
        assert!((0..10_000).map(|_| jitter()).all(|value| (0.0..1.0).contains(&value)));
    }

    #[test]
    fn nonces_differ_and_are_never_zero() {
        let (one, two) = (nonce16(), nonce16());
        assert_ne!(one, two);
        assert_ne!(one, [0; 16]);
        assert_ne!(span_id(), [0; 8]);
    }
}
