//! What may be stored, said a second time, so that the guard is not judged by itself.

use posthaste_protocol::guard::{self, MAX_DEPTH};
use serde_json::value::RawValue;

/// Panics unless `json` is one JSON value that Postgres stores and that is nested at most [`MAX_DEPTH`] deep.
pub fn assert_storable(json: &str) {
    guard::check(json).expect("within the guard");
    assert_readable(json);
}

/// Panics unless `json` is as [`assert_storable`] says, but for its numbers, which may have any size.
pub fn assert_readable(json: &str) {
    serde_json::from_str::<&RawValue>(json).expect("JSON");
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(at) = rest.find(['"', '[', '{', ']', '}']) {
        match rest.as_bytes()[at] {
            b'"' => {
                let end = at + string_bytes(&rest[at..]);
                let text: String = serde_json::from_str(&rest[at..end]).expect("a string without half a surrogate");
                assert!(!text.contains('\0'), "NUL");
                rest = &rest[end..];
                continue;
            }
            b'[' | b'{' => depth += 1,
            _ => depth -= 1,
        }
        assert!(depth <= MAX_DEPTH, "too deep");
        rest = &rest[at + 1..];
    }
}

/// The same value with white space wherever it may be.
pub fn spaced(json: &str) -> String {
    let mut out = String::from(" \n");
    let mut rest = json;
    while let Some(at) = rest.find(['"', '[', '{', ']', '}', ',', ':']) {
        let bytes = if rest.as_bytes()[at] == b'"' { string_bytes(&rest[at..]) } else { 1 };
        out.push_str(&rest[..at]);
        out.push('\t');
        out.push_str(&rest[at..at + bytes]);
        out.push_str("\r\n");
        rest = &rest[at + bytes..];
    }
    out.push_str(rest);
    out
}

/// The length of the string that `json` begins with.
fn string_bytes(json: &str) -> usize {
    let mut at = 1;
    loop {
        match json.as_bytes()[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
