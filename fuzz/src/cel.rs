//! Expressions: each compiles or is refused, and what compiles gives one value for one input.

use std::{collections::BTreeMap, sync::LazyLock};

use posthaste_engine::filter::{Expression, Input, InputRun, read_payload};
use posthaste_protocol::id::JobId;
use serde_json::{Value, json};

use crate::{storable::assert_storable, surface::Surface};

pub const SURFACE: Surface = Surface {
    name: "cel",
    words: &[
        "payload",
        "headers",
        "job",
        "attempt",
        "x",
        "has(",
        ".all(x,",
        ".exists(x,",
        ".map(x,",
        ".filter(x,",
        ".matches('",
        ".size()",
        "[0]",
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
        "<",
        ">=",
        "&&",
        "||",
        " in ",
        "null",
        "true",
        "1",
        "2u",
        "1.5",
        "1e400",
        "0x7f",
        "9223372036854775808",
        "'a'",
        "r'\\d'",
        "'''",
        "b'",
        "\"",
        "\\",
        "\\u0000",
        "\\ud800",
        "`",
        "//",
        "\n",
        "@",
        "é",
        "🦀",
        "\u{0}",
        "timestamp('",
        "duration('",
    ],
    max_bytes: 2100,
    any_bytes: false,
    survives,
};

static PAYLOADS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    [
        r#"{"type":"invoice.paid","a":[1,"a",null,{"a":true}],"b":-1.5,"ids":[1,2,3],"lines":[{"sku":"b","n":20}]}"#,
        "[[0,1],[2]]",
        "18446744073709551615",
    ]
    .iter()
    .map(|json| read_payload(json.as_bytes()).expect("a payload"))
    .collect()
});

/// Whether the expression compiles. Panics where it must not.
fn survives(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        Err(fault) => {
            assert!(!fault.message.starts_with("cannot be read"), "the parser panicked, or said nothing");
            return false;
        }
    };
    let (headers, metadata) = (BTreeMap::from([("x-a".to_owned(), "b".to_owned())]), json!({"level": 3}));
    let tags = ["paid".to_owned()];
    for payload in PAYLOADS.iter() {
        let run = InputRun {
            job_id: JobId(42),
            kind: "invoice",
            queue: "default",
            tags: &tags,
            metadata: &metadata,
            attempt: 2,
            run_lease: 7,
        };
        let input = Input { payload, headers: &headers, run: Some(run) };
        let value = expression.evaluate(&input);
        assert_eq!(value, expression.evaluate(&input), "the same input, another value");
        if let Ok(text) = value {
            assert_storable(&text);
        }
    }
    true
}
