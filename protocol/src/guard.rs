//! What no JSON value may hold, found by one pass over its bytes before anything parses or stores it.
//!
//! Postgres refuses NUL characters, unpaired surrogates and numbers out of its range, some of them only when the
//! value is read: one such value would fail the batch it travels in. Depth is bounded because the functions that
//! receive the value parse it recursively.

/// The deepest nesting of arrays and objects in one value.
pub const MAX_DEPTH: usize = 64;
/// The longest run of digits in one number.
const MAX_DIGITS: usize = 1000;
/// The most digits of an exponent: ±9999 is far past a double and well within Postgres.
const MAX_EXPONENT_DIGITS: usize = 4;

/// Why a value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More than [`MAX_DEPTH`] arrays and objects in each other.
    TooDeep,
    /// The character `\u0000`.
    Nul,
    /// Half of a pair of UTF-16.
    LoneSurrogate,
    /// A number that Postgres does not read.
    NumberTooLong,
}

impl Fault {
    /// The field error's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooDeep => "too_deep",
            Self::Nul => "nul_character",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NumberTooLong => "number_too_long",
        }
    }

    /// The field error's message.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TooDeep => "must not be nested more than 64 deep",
            Self::Nul => "must not contain the character \\u0000",
            Self::LoneSurrogate => "must not contain an unpaired surrogate such as \\ud800",
            Self::NumberTooLong => "must not contain a number of more than 1000 digits or an exponent past 9999",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

/// Finds the first fault in `json`, one JSON value: what is not JSON may pass. Iterative: needs no stack, whatever the
/// depth.
pub fn check(json: &str) -> Result<(), Fault> {
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = check_string(bytes, at + 1)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Fault::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => {
                at = check_number(bytes, at)?;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Checks the string whose first character is at `at`; returns the position behind its closing quote.
fn check_string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        match bytes.get(at) {
            None => return Ok(at),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') if bytes.get(at + 1) == Some(&b'u') => {
                at = match unit(bytes, at) {
                    Some(0) => return Err(Fault::Nul),
                    Some(0xD800..=0xDBFF) => match unit(bytes, at + 6) {
                        Some(0xDC00..=0xDFFF) => at + 12,
                        _ => return Err(Fault::LoneSurrogate),
                    },
                    Some(0xDC00..=0xDFFF) => return Err(Fault::LoneSurrogate),
                    _ => at + 6,
                };
            }
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The UTF-16 unit of the escape `\uXXXX` that begins at `at`, if one does.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let hex = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
    u16::from_str_radix(hex, 16).ok()
}

/// Checks the number whose first digit is at `at`; returns the position behind it.
fn check_number(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let end = |from: usize, part: fn(u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().position(|&b| !part(b)).unwrap_or(rest.len())
    };
    let mantissa_end = end(at, |b| b.is_ascii_digit() || b == b'.');
    if mantissa_end - at > MAX_DIGITS {
        return Err(Fault::NumberTooLong);
    }
    if !matches!(bytes.get(mantissa_end), Some(b'e' | b'E')) {
        return Ok(mantissa_end);
    }
    let digits_from = end(mantissa_end + 1, |b| matches!(b, b'+' | b'-'));
    let digits_end = end(digits_from, |b| b.is_ascii_digit());
    if digits_end - digits_from > MAX_EXPONENT_DIGITS {
        return Err(Fault::NumberTooLong);
    }
    Ok(digits_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn sixty_four_levels_pass_and_one_more_does_not() {
        assert_eq!(check(&nested(64)), Ok(()));
        assert_eq!(check(&nested(65)), Err(Fault::TooDeep));
        assert_eq!(check(&nested(1_000_000)), Err(Fault::TooDeep));
        assert_eq!(check(&format!("[{}1]", "[],".repeat(1000))), Ok(()), "siblings are not depth");
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(check(&format!("\"\\\"{}\"", "[".repeat(100))), Ok(()));
    }

    #[test]
    fn an_escaped_nul_is_found_but_an_escaped_backslash_is_not_one() {
        assert_eq!(check(r#"{"a\u0000":1}"#), Err(Fault::Nul));
        assert_eq!(check(r#""\\\u0000""#), Err(Fault::Nul));
        assert_eq!(check(r#""\\u0000""#), Ok(()));
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(check(r#""\ud83d\ude00""#), Ok(()));
        for lone in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\ud83d""#, r#""\ud83dx\ude00""#] {
            assert_eq!(check(lone), Err(Fault::LoneSurrogate), "{lone}");
        }
    }

    #[test]
    fn numbers_stay_within_what_postgres_reads() {
        for good in ["1e9999", "-1.5E+10", "[0,1,true,false]", "1234567890"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["1e10000", "1E-99999", &"9".repeat(1001)] {
            assert_eq!(check(bad), Err(Fault::NumberTooLong), "{bad}");
        }
    }

    #[test]
    fn broken_text_does_not_panic() {
        for text in ["\"", "\"\\", "\"\\u", "\"\\u00", "\"\\ud83d\\", "1e", "1e+", "]]]"] {
            let _unimportant = check(text);
        }
    }
}
