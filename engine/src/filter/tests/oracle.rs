//! The interpreter of the `cel` crate, which is CEL's word, against ours, on expressions and payloads made at random.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Value as Cel};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// One `Env` for all cases: making one takes longer than all the rest.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

fn to_cel(json: &Json) -> Cel {
    match json {
        Json::Null => Cel::Null,
        Json::Bool(flag) => Cel::Bool(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::UInt(uint),
            _ => Cel::Float(number.as_f64().unwrap()),
        },
        Json::String(text) => Cel::from(text.as_str()),
        Json::Array(items) => Cel::from(items.iter().map(to_cel).collect::<Vec<_>>()),
        Json::Object(members) => {
            Cel::from(members.iter().map(|(name, json)| (name.clone(), to_cel(json))).collect::<HashMap<_, _>>())
        }
    }
}

/// `None` for what has no JSON.
fn to_json(value: &Cel) -> Option<Json> {
    Some(match value {
        Cel::Null => Json::Null,
        Cel::Bool(flag) => json!(flag),
        Cel::Int(int) => json!(int),
        Cel::UInt(uint) => json!(uint),
        Cel::Float(double) => Json::Number(serde_json::Number::from_f64(*double)?),
        Cel::String(text) => json!(text.as_str()),
        Cel::List(items) => Json::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Cel::Map(members) => Json::Object(
            members.map.iter().map(|(key, value)| Some((key.to_string(), to_json(value)?))).collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn oracle(expression: &str, payload: &Json) -> Option<Json> {
    let expr = cel::parser::PrattParser::new().parse(expression).ok()?;
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.add_variable_from_value("payload", to_cel(payload));
    to_json(&context.resolve(&expr).ok()?)
}

fn ours(expression: &str, payload: &Json) -> Option<Json> {
    value_of(expression, payload).ok().map(|text| serde_json::from_str(&text).unwrap())
}

fn scalars() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        (-3_i64..4).prop_map(Json::from),
        prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(Json::from),
        Just(json!(u64::MAX)),
        prop_oneof![Just(0.0), Just(1.0), Just(-2.5), Just(1e18), Just(1e300)].prop_map(Json::from),
        prop_oneof![Just(""), Just("a"), Just("ab"), Just("é🦀"), Just("2")].prop_map(Json::from),
    ]
}

/// A payload whose fields the expressions below know, of any type. Maps that loops go through have one key: the
/// interpreter visits more of them in random order.
fn payloads() -> impl Strategy<Value = Json> {
    let value = || {
        prop_oneof![
            4 => scalars(),
            1 => prop::collection::vec(scalars(), 0..4).prop_map(Json::from),
            1 => scalars().prop_map(|scalar| json!({ "a": scalar })),
        ]
    };
    (value(), value(), prop::collection::vec(value(), 0..4)).prop_map(|(a, b, list)| json!({"a": a, "b": b, "l": list}))
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "payload.a",
            "payload.b",
            "payload.l",
            "payload.a.a",
            "payload.l[0]",
            "payload.c",
            "x"
        ]),
        prop::sample::select(vec!["0", "1", "-2", "2u", "1.5", "1.0", "'a'", "''", "'é🦀'", "true", "false", "null"]),
        prop::sample::select(vec!["[]", "[1, 'a']", "{}", "{'a': 1}", "9223372036854775807", "'2'"]),
    ]
    .prop_map(str::to_owned);
    // What is added is no map: the interpreter would append its keys to a list, which is not CEL.
    let added =
        prop::sample::select(vec!["payload.l", "payload.l.size()", "1", "-9223372036854775808", "2u", "1.5", "'b'"]);
    let binary =
        prop::sample::select(vec!["-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||", "&&", "||"]);
    let macros = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
    let ranges = prop::sample::select(vec!["payload.l", "payload.a", "[1, 2, 3]", "['a', null]", "{'a': 1}"]);
    let functions = prop::sample::select(vec!["size", "int", "uint", "double", "string"]);
    let members = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
    leaf.prop_recursive(4, 20, 3, move |inner| {
        let i = || inner.clone();
        prop_oneof![
            6 => (i(), binary.clone(), i()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            1 => (i(), added.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            1 => (i(), i()).prop_map(|(a, b)| format!("({a} + [{b}])")),
            1 => (i(), i()).prop_map(|(a, b)| format!("({a} + string({b}))")),
            1 => i().prop_map(|a| format!("!({a})")),
            1 => i().prop_map(|a| format!("-({a})")),
            1 => (i(), i(), i()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (i(), i()).prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => i().prop_map(|a| format!("({a}).a")),
            1 => prop::sample::select(vec!["payload.a", "payload.z", "payload.a.a"]).prop_map(|a| format!("has({a})")),
            2 => (functions.clone(), i()).prop_map(|(f, a)| format!("{f}({a})")),
            2 => (i(), members.clone(), i()).prop_map(|(a, f, b)| format!("({a}).{f}({b})")),
            2 => (i(), i()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (i(), i()).prop_map(|(a, b)| format!("{{'k': {a}, 'l': {b}}}")),
            4 => (ranges.clone(), macros.clone(), i()).prop_map(|(r, m, a)| format!("{r}.{m}(x, {a})")),
            1 => (ranges.clone(), i(), i()).prop_map(|(r, a, b)| format!("{r}.map(x, {a}, {b})")),
        ]
    })
    // A variable that no macro gives is refused when it is compiled; here all expressions have an `x`.
    .prop_map(|expression| format!("[payload.b].map(x, {expression})[0]"))
}

/// Conditions, most of which have a value: what is absorbed, what is left undecided, and by which operand.
fn conditions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "true",
        "false",
        "payload.z",
        "payload.a == null",
        "payload.a == payload.b",
        "payload.a in payload.l",
        "x == 1",
        "x != payload.a",
        "x < 2",
        "x >= 1.5",
        "x in payload.l",
        "size(payload.l) > 1",
        "payload.l == [x]",
        "payload.l[0] == x",
        "has(payload.a)",
        "has(payload.z)",
        "has(x.a)",
        "payload.a",
        "'a' <= 'ab'",
        "'é🦀'.contains('é')",
        "null",
    ])
    .prop_map(str::to_owned);
    let quantifiers = prop::sample::select(vec!["all", "exists", "exists_one"]);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let i = || inner.clone();
        prop_oneof![
            3 => (i(), i()).prop_map(|(a, b)| format!("({a} && {b})")),
            3 => (i(), i()).prop_map(|(a, b)| format!("({a} || {b})")),
            1 => (i(), i(), i()).prop_map(|(a, b, c)| format!("({a} || {b} || {c})")),
            1 => i().prop_map(|a| format!("!({a})")),
            1 => (i(), i(), i()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            3 => (quantifiers.clone(), i()).prop_map(|(q, a)| format!("payload.l.{q}(x, {a})")),
            1 => i().prop_map(|a| format!("(payload.l.filter(x, {a}) == [])")),
        ]
    })
    .prop_map(|expression| format!("[payload.b].map(x, {expression})[0]"))
}

/// Compares `cases` values, on a stack that the interpreter needs: some 40 KiB for each node it is deep in.
fn agree<S: Strategy<Value = String> + 'static>(cases: u32, expressions: fn() -> S) {
    let compare = move || {
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config).run(&(expressions(), payloads()), |(expression, payload)| {
            let ours = ours(&expression, &payload);
            prop_assert_eq!(ours, oracle(&expression, &payload), "{} on {}", expression, payload);
            Ok(())
        })
    };
    let thread = std::thread::Builder::new().stack_size(256 * 1024 * 1024).spawn(compare).unwrap();
    thread.join().unwrap().unwrap();
}

#[test]
fn our_values_are_those_of_the_interpreter() {
    agree(1000, expressions);
}

#[test]
fn our_conditions_are_those_of_the_interpreter() {
    agree(1000, conditions);
}
