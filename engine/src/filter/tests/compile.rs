use posthaste_protocol::cel::MAX_EXPRESSION_BYTES;

use super::*;

/// Expressions that are refused when they are registered, and what is said of them.
const REFUSED: &[(&str, &str)] = &[
    // Not CEL.
    ("", "must not be empty: leave it out"),
    ("payload.", "line 1, column 9: expected identifier after '.'"),
    ("payload.type = 'x'", "line 1, column 14: compare with =="),
    ("(1", "line 1, column 3: expected ')'"),
    ("1 +", "line 1, column 4: mismatched input '<EOF>' expecting expression"),
    ("1 1", "line 1, column 3: mismatched input '1' expecting <EOF>"),
    ("payload.type == 'ü' &&\n  * 2", "line 2, column 3: unexpected token"),
    ("'ü' 'ü' 1", "line 1, column 5: mismatched input ''ü'' expecting <EOF>"),
    ("a && b &&", "line 1, column 10: mismatched input '<EOF>' expecting expression"),
    ("9223372036854775808", "line 1, column 1: invalid int literal"),
    ("1e999", "line 1, column 1: invalid double literal"),
    ("for", "line 1, column 1: reserved identifier: for"),
    ("payload.?type", "line 1, column 8: unsupported syntax '.?'"),
    ("[1, 2", "line 1, column 6: expected ']'"),
    (
        r"payload.type.matches('\d+')",
        r"line 1, column 22: the string has an unknown escape: write \\ for \, or r'…' for a pattern",
    ),
    // Names.
    ("body.type == 'x'", "line 1, column 1: there is no `body`: there are payload, headers, job and attempt"),
    (
        "payload.body && has(body.type)",
        "line 1, column 21: there is no `body`: there are payload, headers, job and attempt",
    ),
    ("now > 1", "line 1, column 1: there is no `now`: there are payload, headers, job and attempt"),
    ("headers.content-type", "line 1, column 17: there is no `type`: there are payload, headers, job and attempt"),
    ("payload.ids.map(i, i) == i", "line 1, column 17: there is no `i`: there are payload, headers, job and attempt"),
    ("i.map(i, i)", "line 1, column 1: there is no `i`: there are payload, headers, job and attempt"),
    ("job.name == 'x'", "line 1, column 1: job has no field `name`: it has id, kind, queue, attempt, tags, metadata"),
    ("has(attempt.id)", "line 1, column 5: attempt has no field `id`: it has number, run_lease"),
    ("headers['X-GitHub-Event']", "line 1, column 1: the names of headers are in lower case here"),
    // Functions and macros.
    (
        "payload.type.lower() == 'x'",
        "line 1, column 14: there is no function `lower`: there are size, contains, startsWith, endsWith, int, uint, double, string, timestamp, duration, matches, has, all, exists, exists_one, map, filter",
    ),
    ("contains(payload.type, 'x')", "line 1, column 1: call it as text.contains(part)"),
    ("size()", "line 1, column 1: call it as size(value) or value.size()"),
    ("int('1', 2)", "line 1, column 1: call it as int(value)"),
    ("payload.ids.exists(1 == 1)", "line 1, column 13: call it as list.exists(item, condition)"),
    ("payload.ids.exists(i.x, true)", "line 1, column 21: argument must be a simple name"),
    ("has(payload)", "line 1, column 5: invalid argument to has() macro"),
    ("has(payload, payload)", "line 1, column 1: call it as has(payload.name)"),
    ("payload.ids.map(i)", "line 1, column 13: call it as list.map(item, value) or list.map(item, condition, value)"),
    // What a filter never needs.
    ("b'bytes'", "line 1, column 1: bytes are not supported: write a string"),
    (r"'a\u0000'", "line 1, column 1: must not contain the character \\u0000"),
    ("Invoice{id: 1}", "line 1, column 1: there are no types to make: write a map, {\"name\": value}"),
    ("google.protobuf.Duration{}", "line 1, column 1: there are no types to make: write a map, {\"name\": value}"),
    // Constants are read at once.
    (
        "timestamp('yesterday') < timestamp(0)",
        "line 1, column 1: timestamp needs an RFC 3339 time such as 2026-11-21T08:00:00Z",
    ),
    (
        "1 == 1 && duration('1 day') == duration('1h')",
        "line 1, column 11: duration needs a text such as 1h30m, 90s or 250ms",
    ),
    // Patterns.
    (
        "payload.type.matches(payload.re)",
        "line 1, column 14: the pattern must be written as a string, so that it is compiled once",
    ),
    ("payload.type.matches()", "line 1, column 14: call it as text.matches(\"pattern\")"),
    ("payload.type.matches('(')", "line 1, column 14: the pattern is not valid: unclosed group"),
    (
        "payload.type.matches('(?<=a)b')",
        "line 1, column 14: the pattern is not valid: look-around, including look-ahead and look-behind, is not supported",
    ),
    (
        "payload.type.matches(r'(a)\\1')",
        "line 1, column 14: the pattern is not valid: backreferences are not supported",
    ),
];

#[test]
fn what_cannot_work_is_refused_with_its_place_and_what_to_write() {
    for (expression, message) in REFUSED {
        assert_eq!(fault_of(expression).as_deref(), Some(*message), "{expression}");
    }
}

#[test]
fn every_expression_of_a_filter_is_checked() {
    let bad = |text: &str| Some(text.to_owned());
    let spec = CelSpec {
        filter: bad("payload."),
        on_fail: bad("payload.ok"),
        on_complete: bad("nope"),
        transform: bad(&"x".repeat(2049)),
        ..CelSpec::default()
    };
    let faults = check(&spec).unwrap_err();
    let faults: Vec<_> = faults.iter().map(|fault| (fault.field.as_str(), fault.code.as_str())).collect();
    assert_eq!(
        faults,
        [("filter", "invalid_expression"), ("on_complete", "invalid_expression"), ("transform", "too_long")]
    );
}

#[test]
fn an_expression_may_be_as_long_as_the_bound() {
    let text = format!("payload.type == '{}'", "x".repeat(MAX_EXPRESSION_BYTES - 18));
    assert_eq!(text.len(), MAX_EXPRESSION_BYTES);
    assert_eq!(fault_of(&text), None);
    assert_eq!(fault_of(&format!("{text} ")).as_deref(), Some("must have at most 2048 bytes"));
}

#[test]
fn comments_and_line_breaks_are_read_over() {
    assert_eq!(value_of("1 + // one\n  2", &json!(null)).as_deref(), Ok("3"));
}
