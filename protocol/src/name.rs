//! Names: of kinds, and of endpoints.

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// Whether `text` can name a kind: 1 to [`MAX_NAME_BYTES`] ASCII letters, digits and `_ - . : /`, the first a
/// letter or digit.
///
/// The same rule as `posthaste.enqueue`'s: a kind that an endpoint could not take would be stranded.
pub fn is_name(text: &str) -> bool {
    let body = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b));
    let head = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    head && body && text.len() <= MAX_NAME_BYTES
}

/// Whether `text` can name an endpoint: a [name](is_name) without `/`, because it is part of a path.
pub fn is_endpoint_name(text: &str) -> bool {
    is_name(text) && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoints_name_is_a_name_that_fits_a_path() {
        assert!(is_endpoint_name("pdf.v2:eu-1_a"));
        for bad in ["", ".a", "_a", "a/b", "a b"] {
            assert!(!is_endpoint_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "generate_pdf", "com.example.order:v2", "3d/render-x"] {
            assert!(is_name(good), "{good:?}");
        }
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for bad in ["", "*", "_a", " a", "a b", "a\n", "é", "a\0", long.as_str()] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
