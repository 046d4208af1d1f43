//! Patterns of `matches`: compiled once, bounded in size, and priced by it.

use regex::{Regex, RegexBuilder};

use super::meter::{Meter, Stop};

/// The compiled sizes that are tried, in KiB. A pattern costs by the first that holds it.
const SIZES_KIB: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// The most patterns of one expression: each keeps memory of its own.
pub(super) const MAX_PATTERNS: usize = 8;
/// The deepest nesting of a pattern: its compiler recurses.
const MAX_NESTING: u32 = 32;
/// The memory that matching keeps for each thread that matches, beside the pattern itself.
const CACHE_BYTES: usize = 64 * 1024;
/// The classes that are ASCII in RE2, which CEL's patterns are; the `regex` crate would compile all of Unicode into
/// each of them.
const CLASSES: [(char, &str); 6] = [
    ('d', "[0-9]"),
    ('D', "[^0-9]"),
    ('s', r"[\t\n\f\r ]"),
    ('S', r"[^\t\n\f\r ]"),
    ('w', "[0-9A-Za-z_]"),
    ('W', "[^0-9A-Za-z_]"),
];

/// A pattern. Matching takes time in proportion to the text times its size, never more.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    size_kib: usize,
}

impl Pattern {
    /// Compiles `pattern`. `Err` is what is wrong with it.
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        let pattern = with_ascii_classes(pattern);
        for size_kib in SIZES_KIB {
            let built = RegexBuilder::new(&pattern)
                .size_limit(size_kib * 1024)
                .dfa_size_limit(CACHE_BYTES)
                .nest_limit(MAX_NESTING)
                .build();
            match built {
                Ok(regex) => return Ok(Self { regex, size_kib }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    // The error draws the pattern over several lines; its last line says what is wrong.
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    return Err(format!("the pattern is not valid: {}", last.trim_start_matches("error: ")));
                }
            }
        }
        Err("the pattern is too large when compiled: repeat less".to_owned())
    }

    /// Whether some part of `text` matches.
    pub(super) fn matches(&self, text: &str, meter: &mut Meter) -> Result<bool, Stop> {
        // In the worst case each byte is tried against every state, of which a KiB holds some twenty: 95 ns a step.
        meter.step(text.len().saturating_mul(self.size_kib))?;
        Ok(self.regex.is_match(text))
    }
}

fn with_ascii_classes(pattern: &str) -> String {
    let mut ascii = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            ascii.push(c);
            continue;
        }
        let escaped = rest.next();
        match CLASSES.into_iter().find(|(name, _)| Some(*name) == escaped) {
            Some((_, class)) => ascii.push_str(class),
            None => ascii.extend(['\\'].into_iter().chain(escaped)),
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ascii_wherever_they_stand() {
        for (pattern, text, matches) in [
            (r"^\d\D\s\S\w\W$", "1x é_é", true),
            (r"^\w$", "é", false),
            (r"^\d$", "١", false),
            (r"^[\w.+-]+@[^\s@]+$", "a.b+c@d", true),
            (r"^[^\W\d]+$", "a1", false),
            (r"^\\w$", "\\w", true),
            (r"^.$", "é", true),
        ] {
            let found = Pattern::compile(pattern).map(|pattern| pattern.regex.is_match(text));
            assert_eq!(found, Ok(matches), "{pattern} on {text}");
        }
        assert!(Pattern::compile("\\").is_err());
    }

    #[test]
    fn a_large_pattern_costs_more() {
        let size = |pattern: &str| Pattern::compile(pattern).map(|pattern| pattern.size_kib);
        assert_eq!(size(r"^invoice\.(paid|settled)$"), Ok(2));
        assert_eq!(size(r"^[\w.+-]+@[\w-]+\.[\w.-]+$"), Ok(1));
        assert_eq!(size("[ab]{200}"), Ok(16));
        assert!(size("[ab]{1000}").is_err());
    }
}
