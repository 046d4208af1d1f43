//! Anything at all: nothing crashes, and what compiles is evaluated.

use proptest::prelude::*;

use super::*;

/// Words that make most of what is put together of them nearly CEL.
const WORDS: &[&str] = &[
    "payload",
    "headers",
    "job",
    "attempt",
    "x",
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "size",
    "matches",
    "timestamp",
    "duration",
    "int",
    "string",
    "contains",
    "in",
    "null",
    "true",
    "false",
    "1",
    "-1",
    "2u",
    "1.5",
    "0x7f",
    "'a'",
    "\"b\"",
    "r'\\d'",
    "'''c'''",
    "b'd'",
    "'\\u00e9'",
    "'é'",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    "?",
    ":",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "&",
    "=",
    "`",
    "//",
    "\n",
    "'",
    "\"",
    "\\",
    "é",
    "🦀",
    "\u{0}",
    "@",
    "payload.map(x,",
    "payload.exists(x,",
    "payload.a",
    "[0]",
    ".size()",
    "Type{",
    "9223372036854775808",
    "1e400",
];

fn survives(expression: &str, payload: &[u8]) {
    let spec = CelSpec { filter: Some(expression.to_owned()), ..transforming(expression) };
    match Filter::compile(&spec) {
        Ok(filter) => {
            if let Ok(payload) = read_payload(payload) {
                let verdict = with_input(&payload, |input| filter.judge(input));
                assert_eq!(verdict, with_input(&payload, |input| filter.judge(input)), "deterministic");
            }
        }
        // The message that stands for a panic of the parser.
        Err(faults) => assert!(faults.iter().all(|fault| !fault.message.starts_with("cannot be read")), "{expression}"),
    }
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::sample::select(vec![
            r#"{"a": [1, "a", null, {"a": true}], "b": -1.5}"#,
            "[[0, 1], [2]]",
            "\"text\"",
            "18446744073709551615",
            "null",
        ])
        .prop_map(|json| json.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_crash_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), payload in payloads()) {
        survives(&String::from_utf8_lossy(&bytes), &payload);
    }

    #[test]
    fn random_words_crash_nothing(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..40),
        spaced in any::<bool>(),
        payload in payloads(),
    ) {
        survives(&words.join(if spaced { " " } else { "" }), &payload);
    }

    #[test]
    fn random_ends_of_good_expressions_crash_nothing(
        at in 0_usize..200,
        word in prop::sample::select(WORDS),
        payload in payloads(),
    ) {
        let good = "payload.a.exists(x, x == 'é' || has(payload.b) ? size([1, 2u]) > 1.5 : {'k': x}['k'].matches('^a+$'))";
        let at = good.floor_char_boundary(at.min(good.len()));
        survives(&good[..at], &payload);
        survives(&format!("{}{word}{}", &good[..at], &good[at..]), &payload);
    }
}
