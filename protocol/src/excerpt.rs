//! Bytes of strangers → short text that can be stored, printed and shown: errors of functions, reasons of callbacks.

/// The longest excerpt of an error that is kept.
pub const ERROR_BYTES: usize = 2 * 1024;

/// What a secret looks like: how it begins, and how many token characters make it one.
const SECRETS: &[(&str, usize)] = &[
    ("whsec_", 8),
    ("ph1.", 8),
    ("bearer ", 8),
    ("basic ", 12),
    ("eyj", 20),
    ("akia", 16),
    ("sk_live_", 8),
    ("ghp_", 16),
    ("xoxb-", 10),
    ("password=", 1),
    ("secret=", 1),
    ("token=", 8),
    ("api_key=", 1),
    ("x-amz-signature=", 1),
];

/// At most `cap` bytes of `bytes` as UTF-8: invalid sequences replaced, white space collapsed, control and
/// direction characters dropped, obvious secrets redacted.
pub fn clean(bytes: &[u8], cap: usize) -> String {
    // Four times the cap is read, so that what is dropped is made up for, and no more.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(cap.saturating_mul(4))]);
    let mut plain = String::with_capacity(text.len().min(cap.saturating_mul(2)));
    for c in text.chars() {
        if c.is_whitespace() {
            if !plain.is_empty() && !plain.ends_with(' ') {
                plain.push(' ');
            }
        } else if !is_unprintable(c) {
            plain.push(c);
        }
    }
    let mut plain = redact(&plain);
    plain.truncate(plain.floor_char_boundary(cap));
    plain.truncate(plain.trim_end().len());
    plain
}

/// Control characters, and the ones that reorder or hide text on a terminal.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let whole_word = !redacted.ends_with(|c: char| c.is_ascii_alphanumeric());
        let skip = if whole_word { secret_at(rest) } else { None };
        if let Some((prefix, end)) = skip {
            redacted.push_str(&rest[..prefix]);
            redacted.push_str("[redacted]");
            rest = &rest[end..];
        } else {
            redacted.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    redacted
}

/// Where the prefix of the secret that `text` begins with ends, and where the secret does.
fn secret_at(text: &str) -> Option<(usize, usize)> {
    SECRETS.iter().find_map(|(prefix, least)| {
        let head = text.as_bytes().get(..prefix.len())?;
        if !head.eq_ignore_ascii_case(prefix.as_bytes()) {
            return None;
        }
        let token = text[prefix.len()..].bytes().take_while(|b| is_token(*b)).count();
        (token >= *least).then_some((prefix.len(), prefix.len() + token))
    })
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.~+/=%".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_become_text() {
        assert_eq!(clean(b"a\0b\x1b[31mc\xff\r\n\td \x7f", 100), "ab[31mc\u{fffd} d");
        assert_eq!(clean("x\u{202e}y\u{200b}z".as_bytes(), 100), "xyz");
        assert_eq!(clean(b"", 100), "");
        assert_eq!(clean(b" \n ", 100), "");
    }

    #[test]
    fn the_cap_never_splits_a_character() {
        assert_eq!(clean("ééé".as_bytes(), 5), "éé");
        assert_eq!(clean("日本".as_bytes(), 4), "日");
        assert_eq!(clean(&vec![b'x'; 1 << 20], ERROR_BYTES).len(), ERROR_BYTES);
        assert_eq!(clean(b"abc", 0), "");
    }

    #[test]
    fn obvious_secrets_are_redacted() {
        for (text, cleaned) in [
            ("key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw bad", "key whsec_[redacted] bad"),
            ("Authorization: Bearer abcdef1234567890", "Authorization: Bearer [redacted]"),
            ("authorization: bearer abcdef1234567890!", "authorization: bearer [redacted]!"),
            ("(ph1.AQABAABBBBCCCCDDDD)", "(ph1.[redacted])"),
            ("?token=abcdefghijkl&x=1", "?token=[redacted]&x=1"),
            ("the bearer of news", "the bearer of news"),
            ("graph1.png", "graph1.png"),
        ] {
            assert_eq!(clean(text.as_bytes(), 100), cleaned, "{text}");
        }
    }

    #[test]
    fn a_secret_cut_by_the_cap_is_redacted_all_the_same() {
        let text = format!("{} whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x".repeat(60));
        assert!(!clean(text.as_bytes(), 80).contains("MfKQ"));
    }
}
