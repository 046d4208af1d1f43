//! Canonical JSON: one spelling for values that say the same.
//!
//! White space goes; the members of every object are sorted by name, in the order of Unicode code points; strings are
//! escaped only where they must be. Numbers stay as they were written, because no number format holds them all. For
//! values whose numbers are written that way already it is what Python's `json.dumps(value, sort_keys=True,
//! ensure_ascii=False, separators=(",", ":"))` gives.

use std::borrow::Cow;
use std::ops::Range;

/// Appends the canonical spelling of `json`, one JSON value within the bounds of [`crate::guard`], to `out`.
pub(super) fn write(json: &str, out: &mut Vec<u8>) {
    Writer { json, at: 0, out }.value();
}

/// Reads from `at` on and appends to `out`. Recurses as deep as the value is nested.
struct Writer<'j, 'o> {
    json: &'j str,
    at: usize,
    out: &'o mut Vec<u8>,
}

impl<'j> Writer<'j, '_> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let space = rest.iter().position(|b| !b.is_ascii_whitespace())?;
        self.at += space;
        rest.get(space).copied()
    }

    fn value(&mut self) {
        match self.next() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => {
                self.string();
            }
            _ => self.word(),
        }
    }

    fn array(&mut self) {
        self.at += 1;
        self.out.push(b'[');
        loop {
            match self.next() {
                None | Some(b']') => break,
                Some(b',') => {
                    self.at += 1;
                    self.out.push(b',');
                }
                Some(_) => self.value(),
            }
        }
        self.at += 1;
        self.out.push(b']');
    }

    fn object(&mut self) {
        self.at += 1;
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<(Cow<'j, str>, Range<usize>)> = Vec::new();
        loop {
            match self.next() {
                None | Some(b'}') => break,
                Some(b',') => {
                    self.at += 1;
                    self.out.push(b',');
                }
                Some(_) => {
                    let from = self.out.len();
                    let name = self.string();
                    self.next();
                    self.at += 1;
                    self.out.push(b':');
                    self.value();
                    members.push((name, from..self.out.len()));
                }
            }
        }
        self.at += 1;
        if !members.is_sorted_by(|one, other| one.0 <= other.0) {
            members.sort_by(|one, other| one.0.cmp(&other.0));
            self.rearrange(start, &members);
        }
        self.out.push(b'}');
    }

    /// Puts the members that were written from `start` on into this order.
    fn rearrange(&mut self, start: usize, members: &[(Cow<'j, str>, Range<usize>)]) {
        let written = self.out.split_off(start);
        for (_, range) in members {
            if self.out.len() > start {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&written[range.start - start..range.end - start]);
        }
    }

    /// Copies the string that begins here; returns what it says.
    fn string(&mut self) -> Cow<'j, str> {
        let raw = &self.json[self.at..self.string_end()];
        self.at += raw.len();
        if raw.contains('\\')
            && let Ok(text) = serde_json::from_str::<String>(raw)
            && let Ok(spelt) = serde_json::to_string(&text)
        {
            self.out.extend_from_slice(spelt.as_bytes());
            return Cow::Owned(text);
        }
        self.out.extend_from_slice(raw.as_bytes());
        Cow::Borrowed(raw.trim_matches('"'))
    }

    /// The position behind the closing quote of the string that begins here.
    fn string_end(&self) -> usize {
        let mut escaped = false;
        let ends = |b: u8| {
            let is_end = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            is_end
        };
        let inside = self.json.as_bytes().get(self.at + 1..).unwrap_or_default();
        inside.iter().copied().position(ends).map_or(self.json.len(), |at| self.at + at + 2)
    }

    /// Copies a number, `true`, `false` or `null`.
    fn word(&mut self) {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace()).unwrap_or(rest.len());
        // At least one byte, so that a text which is no JSON comes to an end too.
        let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
        self.out.extend_from_slice(&rest.as_bytes()[..end]);
        self.at += end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(json: &str) -> String {
        let mut out = Vec::new();
        write(json, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn white_space_and_the_order_of_members_do_not_matter() {
        let one = " { \"b\" : [ 1 , { \"d\":2,\"c\" :\t3 } ],\n\"a\":{ } , \"\":[] } ";
        assert_eq!(canonical(one), r#"{"":[],"a":{},"b":[1,{"c":3,"d":2}]}"#);
    }

    #[test]
    fn the_order_of_items_and_the_spelling_of_numbers_matter() {
        assert_eq!(
            canonical("[2, 1, 1.0, 1e0, -0, 12345678901234567890123]"),
            "[2,1,1.0,1e0,-0,12345678901234567890123]"
        );
    }

    #[test]
    fn a_string_is_escaped_only_where_it_must_be() {
        assert_eq!(canonical(r#""\u0061\/\u00e9\ud83d\ude00\u001F\u0022\\\n""#), "\"a/é😀\\u001f\\\"\\\\\\n\"");
    }

    #[test]
    fn members_are_sorted_by_what_their_names_say() {
        // Written out, é begins with a backslash and would come before z.
        assert_eq!(
            canonical(r#"{"\u00e9":1,"z":2,"\u0041":3,"😀":4,"\uffff":5}"#),
            "{\"A\":3,\"z\":2,\"é\":1,\"\u{ffff}\":5,\"😀\":4}"
        );
        assert_eq!(canonical(r#"{"b":1,"a":2,"b":3}"#), r#"{"a":2,"b":1,"b":3}"#);
    }

    #[test]
    fn a_text_that_is_no_json_comes_to_an_end() {
        for text in ["", "]", "[}", "{]", "{\"a", "{\"a\\", "{:", "{é", "[\"", "{}}", "[é"] {
            canonical(text);
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        // serde_json sorts the members of its objects, and writes neither white space nor needless escapes.
        #[test]
        fn the_canonical_spelling_is_that_of_a_sorted_tree(value in value()) {
            let plain = value.to_string();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(canonical(&plain), plain.clone());
            prop_assert_eq!(canonical(&pretty), plain);
        }
    }
}
