use super::*;

/// What is sent to the expressions below.
fn invoice() -> Json {
    read_payload(
        r#"{"type": "invoice.paid", "data": {"amount": 250, "tax": 12.5, "whole": 250.0, "note": null, "zero": -0.0},
            "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 20}, {"n": 3}], "ids": [1, 2, 3], "empty": [],
            "max": 9223372036854775807, "over": 9223372036854775808, "huge": 1e30, "twice": 1, "twice": 2,
            "name": "Zoë 🦀", "at": "2026-11-21T08:00:00Z", "dotted.key": true, "äé": "ünï", "flag": false}"#
            .as_bytes(),
    )
    .unwrap()
}

/// Expressions and their values as JSON.
const VALUES: &[(&str, &str)] = &[
    // The typical ones.
    (r#"payload.type == "invoice.paid" && payload.data.amount > 100"#, "true"),
    (r#"payload.type in ["invoice.paid", "invoice.settled"]"#, "true"),
    (r#"payload.type.startsWith("invoice.") && !payload.type.endsWith(".failed")"#, "true"),
    ("headers['x-github-event'] == 'push'", "true"),
    ("'x-none' in headers ? 1 : 2", "2"),
    (r#"{"id": job.id, "amount": payload.data.amount, "paid": true}"#, r#"{"amount":250,"id":"42","paid":true}"#),
    ("payload.lines", r#"[{"n":1,"sku":"a"},{"n":20,"sku":"b"},{"n":3}]"#),
    ("payload['dotted.key'] && payload['äé'] == 'ünï'", "true"),
    // The job and its attempt.
    ("job.kind + '/' + job.queue", r#""invoice/default""#),
    ("job.attempt == attempt.number && attempt.number == 2 && attempt.run_lease == 7", "true"),
    ("'paid' in job.tags && job.metadata.customer == 'c-1' && job.metadata.level < 4", "true"),
    (
        "job",
        r#"{"attempt":2,"id":"42","kind":"invoice","metadata":{"customer":"c-1","level":3},"queue":"default","tags":["eu","paid"]}"#,
    ),
    // Integers are int first.
    ("payload.data.amount + 1", "251"),
    ("payload.data.amount - 251 < 0", "true"),
    ("payload.max", "9223372036854775807"),
    ("payload.over", "9223372036854775808"),
    ("payload.over > payload.max && payload.over == 9223372036854775808u", "true"),
    ("payload.huge > payload.over", "true"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("0x10 + 1", "17"),
    ("7 / 2 * 2 + 7 % 2", "7"),
    ("-7 / 2", "-3"),
    ("-7 % 2", "-1"),
    ("7u / 2u", "3"),
    // Doubles: whole ones are still doubles, and every number is compared with every other.
    ("payload.data.whole == payload.data.amount", "true"),
    ("payload.data.whole + 0.5", "250.5"),
    ("double(payload.data.amount) * payload.data.tax", "3125.0"),
    ("1 == 1.0 && 1u == 1 && 1u == 1.0 && 2u > 1 && 1 < 1.5 && -1 < 0u", "true"),
    ("payload.data.zero == 0 && payload.data.zero == 0.0", "true"),
    ("1.0 / 0.0 > 1e308", "true"),
    ("(0.0 / 0.0) == (0.0 / 0.0)", "false"),
    ("payload.twice", "2"),
    // Null is a value like others.
    ("payload.data.note == null && has(payload.data.note)", "true"),
    ("payload.data.amount == null || null != null", "false"),
    ("null", "null"),
    // Types that never meet are not equal.
    ("1 == '1' || true == 1 || null == false || [] == {}", "false"),
    ("[1, 2.0, 'x', null] == [1.0, 2u, 'x', null]", "true"),
    ("{'a': {'b': [1]}} == {'a': {'b': [1.0]}}", "true"),
    ("{'a': 1} != {'a': 1, 'b': 2} && {'a': 1} != {'b': 1}", "true"),
    ("payload.ids == [1, 2, 3]", "true"),
    // What is missing can be asked for.
    ("has(payload.data.amount) && !has(payload.data.none)", "true"),
    ("has(payload.none) && payload.none.deep > 1", "false"),
    ("'none' in payload || 'type' in payload", "true"),
    // One operand decides, whatever failed beside it, on either side.
    ("payload.none == 1 || true", "true"),
    ("true || payload.none == 1", "true"),
    ("payload.none == 1 && false", "false"),
    ("payload.none && payload.none && payload.flag", "false"),
    ("true ? 1 : payload.none", "1"),
    ("false || 1 == 1 && !(2 == 2) ? 'a' : 'b'", r#""b""#),
    // Strings.
    ("size(payload.name)", "5"),
    ("payload.name.size() + payload.lines.size() + size({'a': 1})", "9"),
    ("payload.name.contains('🦀') && 'abc' < 'abd' && 'Z' < 'a' && 'z' < 'é'", "true"),
    (r#"'a' + "b" + r'\n' + '''c''' + '\u00e9\x41'"#, r#""ab\\ncéA""#),
    ("'🦀' == '\\U0001F980'", "true"),
    ("payload.type.matches('^invoice\\\\.(paid|settled)$')", "true"),
    ("matches(payload.name, r'^Z\\w.\\s.$') && payload.name.matches('^\\\\w+. ')", "true"),
    ("'line\\nbreak'.matches('(?m)^break$')", "true"),
    // Lists and macros.
    ("payload.ids[0] + payload.ids[2]", "4"),
    ("payload.ids[1.0] == payload.ids[1u]", "true"),
    ("payload.ids + [4]", "[1,2,3,4]"),
    ("payload.lines.exists(l, l.sku == 'b')", "true"),
    ("payload.lines.all(l, l.n > 0)", "true"),
    ("payload.lines.all(l, l.sku == 'a')", "false"),
    ("['x', 1].exists(i, i > 0) && !['x', 1].all(i, i < 0)", "true"),
    ("payload.lines.exists_one(l, l.n > 3) && payload.ids.existsOne(i, i == 1)", "true"),
    ("payload.lines.filter(l, has(l.sku)).map(l, l.sku)", r#"["a","b"]"#),
    ("payload.lines.map(l, l.n > 2, l.n * 10)", "[200,30]"),
    ("payload.lines.map(l, l.n).exists(n, n == 20)", "true"),
    ("payload.empty.exists(x, true) || !payload.empty.all(x, false)", "false"),
    ("payload.ids.map(i, payload.ids.filter(j, j < i).map(k, [i, k]))", "[[],[[2,1]],[[3,1],[3,2]]]"),
    ("payload.ids.map(i, payload.ids.map(i, i * 2)[0] + i)", "[3,4,5]"),
    ("[1, 2].map(payload, payload + .payload.ids[0])", "[2,3]"),
    // The keys of a map come in their order, always.
    ("{'b': 1, 'a': 2, 'c': 3}.map(k, k)", r#"["a","b","c"]"#),
    ("payload.data.map(k, k)", r#"["amount","note","tax","whole","zero"]"#),
    ("headers.exists(name, name.startsWith('x-github-'))", "true"),
    // Conversions.
    ("[int('42'), int(3.9), int(-3.9), int(7u), int(timestamp(60))]", "[42,3,-3,7,60]"),
    ("[uint('42'), uint(3.9), uint(7), uint(0)]", "[42,3,7,0]"),
    ("[double('1.5'), double(2), double(3u)]", "[1.5,2.0,3.0]"),
    ("[string(1), string(1u), string(1.5), string(true), string('x')]", r#"["1","1","1.5","true","x"]"#),
    // Times.
    ("timestamp(payload.at) < timestamp('2026-11-21T09:00:00.001+01:00')", "true"),
    ("timestamp(payload.at) - timestamp('2026-11-20T08:00:00Z') == duration('24h')", "true"),
    ("timestamp(payload.at) + duration('90m')", r#""2026-11-21T09:30:00Z""#),
    ("duration('1h') + duration('30m') - duration('1.5s')", r#""5398.5s""#),
    ("string(timestamp(0)) + ' ' + string(duration('-1500ms'))", r#""1970-01-01T00:00:00Z -1.5s""#),
    (
        "timestamp(payload.at) == timestamp(timestamp(payload.at)) && duration(duration('1s')) > duration('999ms')",
        "true",
    ),
];

#[test]
fn expressions_have_the_values_that_cel_gives_them() {
    let payload = invoice();
    for (expression, value) in VALUES {
        assert_eq!(value_of(expression, &payload).as_deref(), Ok(*value), "{expression}");
    }
}

/// Expressions that do not fit what was sent, and what is said of them.
const FAILURES: &[(&str, &str)] = &[
    ("payload.none", "there is no field `none`: ask has(…) first"),
    ("payload.none.deeper == 1", "there is no field `none`: ask has(…) first"),
    ("has(payload.none.deeper)", "there is no field `none`: ask has(…) first"),
    ("payload.type.length", "a string has no field `length`"),
    ("has(payload.type.length)", "a string has no field `length`"),
    ("payload.data.note.text", "null has no field `text`"),
    ("payload['none']", "there is no such key: ask `key in map` first"),
    ("payload[0]", "cannot index a map with an int"),
    ("payload.ids['0']", "cannot index a list with a string"),
    ("payload.ids[3]", "the list has 3 items and none at this index"),
    ("payload.ids[-1]", "the list has 3 items and none at this index"),
    ("payload.ids[0.5]", "the list has 3 items and none at this index"),
    ("payload.ids[18446744073709551615u]", "the list has 3 items and none at this index"),
    ("payload.data.amount + 0.5", "cannot add an int and a double: convert one of them, as in double(…)"),
    ("payload.data.amount + 1u", "cannot add an int and a uint: convert one of them, as in double(…)"),
    ("payload.type + 1", "cannot add a string and an int"),
    ("payload - 1", "cannot subtract a map and an int"),
    ("payload.type * 3", "cannot multiply a string and an int"),
    ("payload.data.amount > '100'", "cannot order an int and a string"),
    ("payload.data.note > 1", "cannot order null and an int"),
    ("payload.ids < payload.ids", "cannot order a list and a list"),
    ("0.0 / 0.0 < 1.0", "cannot order a double and a double"),
    ("payload.max + 1", "the number does not fit 64 bits"),
    ("payload.max * 2", "the number does not fit 64 bits"),
    ("0u - 1u", "the number does not fit 64 bits"),
    ("(-9223372036854775808) / -1", "the number does not fit 64 bits"),
    ("(-9223372036854775808) % -1", "the number does not fit 64 bits"),
    ("-(-9223372036854775808)", "the number does not fit 64 bits"),
    ("1 / (payload.data.amount - 250)", "division by zero"),
    ("1u % 0u", "division by zero"),
    ("1.5 % 1.0", "doubles have no remainder: use int(…)"),
    ("-payload.type", "cannot negate a string"),
    ("-payload.over", "cannot negate a uint"),
    ("!payload.type", "must be true or false, not a string"),
    ("payload.data.amount && true", "must be true or false, not an int"),
    ("payload.none == 1 || false", "there is no field `none`: ask has(…) first"),
    ("payload.note ? 1 : 2", "there is no field `note`: ask has(…) first"),
    ("payload.lines.exists(l, l.sku == 'c')", "there is no field `sku`: ask has(…) first"),
    ("payload.lines.map(l, l.sku)", "there is no field `sku`: ask has(…) first"),
    ("payload.lines.exists_one(l, l.sku == 'a')", "there is no field `sku`: ask has(…) first"),
    ("payload.ids.filter(i, i)", "must be true or false, not an int"),
    ("payload.type.exists(c, c == 'i')", "cannot go through a string: only lists and maps"),
    ("'a' in payload.type", "`in` needs a list or a map on its right, not a string"),
    ("payload.ids.contains(1)", "contains does not take a list and an int"),
    ("payload.type.startsWith(1)", "startsWith does not take a string and an int"),
    ("payload.data.amount.matches('2')", "matches does not take an int"),
    ("size(payload.data.amount)", "size does not take an int"),
    ("int('4.2')", "the value is not an int, or does not fit one"),
    ("int(payload.huge)", "the value is not an int, or does not fit one"),
    ("int(0.0 / 0.0)", "the value is not an int, or does not fit one"),
    ("uint(-1)", "the value is not a uint, or does not fit one"),
    ("double('twelve')", "the value is not a double, or does not fit one"),
    ("int(payload)", "int does not take a map"),
    ("string(payload)", "string does not take a map"),
    ("timestamp(payload.type)", "timestamp needs an RFC 3339 time such as 2026-11-21T08:00:00Z"),
    ("timestamp(payload.max)", "the time is out of range: years are 1 to 9999, durations at most 315576000000s"),
    ("timestamp(true)", "timestamp does not take a bool"),
    ("duration(payload.type)", "duration needs a text such as 1h30m, 90s or 250ms"),
    (
        "timestamp(payload.at) + duration('87600000h')",
        "the time is out of range: years are 1 to 9999, durations at most 315576000000s",
    ),
    ("timestamp(payload.at) + timestamp(payload.at)", "cannot add a timestamp and a timestamp"),
    ("{payload.data.amount: 1}", "the keys of a map must be strings"),
    ("{payload.type: 1, 'invoice.' + 'paid': 2}", "a map has the same key twice"),
    ("1.0 / 0.0", "the result holds a number that JSON has not"),
];

#[test]
fn an_expression_that_does_not_fit_fails_and_says_why() {
    let payload = invoice();
    for (expression, message) in FAILURES {
        let expected = ("cel_failed".to_owned(), (*message).to_owned());
        assert_eq!(value_of(expression, &payload), Err(expected), "{expression}");
    }
}

#[test]
fn a_payload_of_any_shape_is_a_value() {
    for (payload, expression, value) in [
        (json!("text"), "payload == 'text'", "true"),
        (json!(null), "payload == null", "true"),
        (json!([1, 2]), "payload[1]", "2"),
        (json!(7), "payload + 1", "8"),
    ] {
        assert_eq!(value_of(expression, &payload).as_deref(), Ok(value), "{expression}");
    }
}
