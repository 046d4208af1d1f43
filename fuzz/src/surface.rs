//! A surface: where the words of strangers come in.

/// One of them, and what is known of it.
#[derive(Clone, Copy)]
pub struct Surface {
    /// Its folder in `tests/corpus`.
    pub name: &'static str,
    /// What is put into an input.
    pub words: &'static [&'static str],
    /// The longest input, but for those that are blown up.
    pub max_bytes: usize,
    /// Whether it takes what is no text too, and what is very long.
    pub any_bytes: bool,
    /// Reads an input; whether it was accepted. Panics where a promise is broken.
    pub survives: fn(&[u8]) -> bool,
}
