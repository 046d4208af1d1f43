use super::*;

/// Half of what a thread of the runtime has: a caller may be deep in it. A debug build, whose frames are the largest,
/// needs some 600 KiB for the worst of the expressions below.
const STACK_BYTES: usize = 1024 * 1024;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test).unwrap();
    thread.join().unwrap();
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

/// Texts that overflow the stack, or take gigabytes, in a parser or an interpreter without bounds.
fn bombs() -> Vec<String> {
    let mut bombs = Vec::new();
    for depth in [16, 17, 100, 10_000] {
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("(1+", "1", ")"),
            ("[", "1", "]"),
            ("{'a':", "1", "}"),
            ("payload[", "0", "]"),
            ("size(", "'a'", ")"),
            ("payload.map(x,", "x", ")"),
            ("payload.filter(x,1==1&&2!=3||", "true", ")"),
            ("(true||1+2*-3<4==!", "true", ")"),
            ("(1?2:", "3", ")"),
        ] {
            bombs.push(nested(open, inner, close, depth));
            bombs.push(open.repeat(depth));
        }
    }
    for count in [63, 64, 124, 249, 1000, 10_000] {
        bombs.push(format!("1{}", "+1".repeat(count)));
        bombs.push(format!("true{}", "&&true".repeat(count)));
        bombs.push(format!("true{}", "||false".repeat(count)));
        bombs.push(format!("{}1", "1==1?1:".repeat(count)));
        bombs.push(format!("{}true", "!".repeat(count)));
        bombs.push(format!("{}1", "-".repeat(count)));
        bombs.push(format!("{}1", "!-".repeat(count)));
        bombs.push(format!("payload{}", ".a".repeat(count)));
        bombs.push(format!("payload{}", "[0]".repeat(count)));
        bombs.push(format!("payload{}", ".size()".repeat(count)));
        bombs.push(format!("payload{}.map(x,x)", ".a".repeat(count)));
        bombs.push(format!("payload{}", ".map(x,x)".repeat(count)));
        bombs.push(format!("[{}]", "1,".repeat(count)));
    }
    // All bounds at once: as many brackets as there may be, and in them the longest chain.
    for (open, close, tokens) in [
        ("(1<2||3*", ")", 7),
        ("[1<2||3*-", "][0]", 11),
        ("{'a':1<2||3*", "}", 9),
        ("size(1<2||3*", ")", 8),
        ("size(", ")", 3),
    ] {
        for (before, after, chain) in [
            ("1==1?1:", "", 6),
            ("!-", "", 2),
            ("1+", "", 2),
            ("", ".size()", 4),
            ("", ".a", 2),
            ("", "[0]", 3),
            ("", ".map(x,x)", 6),
        ] {
            let length = (MAX_TOKENS - MAX_NESTING * tokens - 1) / chain;
            let inner = format!("{}payload{}", before.repeat(length), after.repeat(length));
            bombs.push(nested(open, &inner, close, MAX_NESTING - usize::from(after.contains(['(', '[']))));
        }
    }
    // cel-rust#306: 126 bytes for 46 GB.
    bombs.push(nested("!!(!!!!!!(", "", "", 12));
    bombs.push("!!(!!!!!!(".repeat(4));
    bombs
}

#[test]
fn no_nesting_or_chain_overflows_the_stack() {
    on_a_small_stack(|| {
        let payload = json!([[0]]);
        let (mut compiled, mut refused) = (0, 0);
        for bomb in bombs() {
            match Expression::compile(&bomb) {
                Ok(expression) => {
                    compiled += 1;
                    let _unimportant = with_input(&payload, |input| expression.evaluate(input));
                }
                Err(_) => refused += 1,
            }
        }
        assert!(compiled >= 15 && refused >= 100, "{compiled} and {refused}");
    });
}

#[test]
fn sixty_four_levels_are_evaluated_and_one_more_is_refused() {
    on_a_small_stack(|| {
        let sum = |count: usize| format!("1{}", "+1".repeat(count - 1));
        assert_eq!(value_of(&sum(64), &json!(null)).as_deref(), Ok("64"));
        let message = "must not be nested, or chained by operators, more than 64 deep";
        assert_eq!(fault_of(&sum(65)).as_deref(), Some(message));
        let or = format!("false{}", "||false".repeat(249));
        assert_eq!(value_of(&or, &json!(null)).as_deref(), Ok("false"), "chains of || are flat");
    });
}

#[test]
fn values_as_deep_as_a_payload_may_be_are_compared_and_written_on_a_small_stack() {
    on_a_small_stack(|| {
        let payload = read_payload(nested("[", "", "]", 64).as_bytes()).unwrap();
        assert_eq!(value_of("payload == payload && payload in [payload]", &payload).as_deref(), Ok("true"));
        assert_eq!(value_of("payload", &payload), Ok(nested("[", "", "]", 64)));
        let deeper = "the result is nested more than 64 deep";
        assert_eq!(value_of("[payload]", &payload).unwrap_err().1, format!("{deeper}"));
    });
}

/// Expressions that take more than the budget over a list of 1,000 strings, and which part of the budget.
const GREEDY: &[(&str, &str)] = &[
    ("payload.all(a, payload.all(b, payload.all(c, payload.all(d, true))))", "took more than 100000 steps"),
    ("payload.map(a, payload.map(b, payload.map(c, payload.map(d, d))))", "made more than 1048576 bytes"),
    ("payload.exists(a, payload.exists(b, a + b == 'x'))", "took more than 100000 steps"),
    ("payload.exists(a, payload == [a])", "not greedy"),
    ("payload.exists(a, payload.map(b, b) == [])", "made more than 1048576 bytes"),
    ("payload.exists(a, a in payload && false)", "took more than 100000 steps"),
    ("payload.all(a, payload == payload)", "took more than 100000 steps"),
    ("payload.map(a, payload)", "the result has more than 1048576 bytes"),
    ("payload.map(a, payload + payload)", "made more than 1048576 bytes"),
    (
        "payload.map(a, payload[0] + payload[1]).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)",
        "made more than 1048576 bytes",
    ),
    (
        "payload.map(a, [a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a])",
        "made more than 1048576 bytes",
    ),
    // A failure inside does not hide that the budget is spent.
    ("payload.exists(a, payload.all(b, payload.none)) || true", "took more than 100000 steps"),
    ("true && (payload.all(a, payload.all(b, true)) || true)", "took more than 100000 steps"),
];

#[test]
fn macros_over_large_lists_end_at_the_budget() {
    let payload = json!((0..1000).map(|n| format!("item number {n:04}")).collect::<Vec<_>>());
    for (expression, message) in GREEDY {
        let value = value_of(expression, &payload);
        if *message == "not greedy" {
            assert_eq!(value.as_deref(), Ok("false"), "{expression}");
        } else {
            assert_eq!(value, Err(("cel_limit".to_owned(), (*message).to_owned())), "{expression}");
        }
    }
}

#[test]
fn doubling_a_string_ends_at_the_budget() {
    let doubling = format!("['{}']{}[0].size()", "x".repeat(100), ".map(x,x+x)".repeat(40));
    let limit = ("cel_limit".to_owned(), "made more than 1048576 bytes".to_owned());
    assert_eq!(value_of(&doubling, &json!(null)), Err(limit.clone()));
    let lists = format!("[1]{}.size()", ".map(x,[x,x])".repeat(20));
    assert_eq!(value_of(&lists, &json!(null)).as_deref(), Ok("1"), "what is shared is not made");
    let pasted = format!("[payload]{}[0].size()", ".map(x,x+x)".repeat(20));
    assert_eq!(value_of(&pasted, &json!(vec![0; 1000])), Err(limit));
}

#[test]
fn a_result_that_shares_much_is_not_written_out() {
    let text = format!("[{}]", ["payload"; 8].join(","));
    let payload = json!("x".repeat(200_000));
    let limit = ("cel_limit".to_owned(), "the result has more than 1048576 bytes".to_owned());
    assert_eq!(value_of(&text, &payload), Err(limit));
    let shared = format!("[1]{}", ".map(x,[x,x,x,x])".repeat(20));
    let limit = ("cel_limit".to_owned(), "the result has more than 1048576 bytes".to_owned());
    assert_eq!(value_of(&shared, &json!(null)), Err(limit), "4^20 items of a few hundred bytes");
}

#[test]
fn patterns_are_linear_and_bounded() {
    let payload = json!("a".repeat(1000));
    for catastrophic in ["(a+)+$", "^(a|aa)+$", "(.*)*b", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        assert!(value_of(&format!("payload.matches('{catastrophic}')"), &payload).is_ok(), "{catastrophic}");
    }
    for huge in ["(a{1000}){1000}", "((a{100}){100}){100}", ".{500}", "(?:a|b){0,100000}"] {
        let message = fault_of(&format!("payload.matches('{huge}')")).unwrap_or_default();
        assert!(message.contains("too large") || message.contains("not valid"), "{huge}: {message}");
    }
    let many = |count: usize| vec!["payload.matches('x')"; count].join("||");
    assert_eq!(value_of(&many(8), &payload).as_deref(), Ok("false"));
    assert!(fault_of(&many(9)).is_some());
    let deep = format!("payload.matches('{}')", nested("(", "a", ")", 900));
    assert!(fault_of(&deep).is_some());
}

#[test]
fn a_large_pattern_over_a_large_text_ends_at_the_budget() {
    let payload = json!("a".repeat(400_000));
    let limit = ("cel_limit".to_owned(), "took more than 100000 steps".to_owned());
    assert_eq!(value_of("payload.matches('(a|b|ab){1,100}c')", &payload), Err(limit));
    assert_eq!(value_of("payload.contains('b')", &payload).as_deref(), Ok("false"));
    let many = "[1,2,3,4,5,6,7,8,9].all(n, !payload.contains('b'))";
    let limit = ("cel_limit".to_owned(), "took more than 100000 steps".to_owned());
    assert_eq!(value_of(many, &payload), Err(limit), "looking costs by the byte");
}

#[test]
fn messages_hold_nothing_of_the_payload() {
    let payload = json!({"card": "4111111111111111", "m": {}, "l": []});
    for expression in [
        "payload.m[payload.card]",
        "payload.l[payload.card]",
        "int(payload.card + 'x')",
        "payload.card + 1",
        "timestamp(payload.card)",
        "duration(payload.card)",
        "{payload.card: 1, payload.card: 2}",
        "payload.card ? 1 : 2",
    ] {
        let (_, message) = value_of(expression, &payload).unwrap_err();
        assert!(!message.contains("4111"), "{expression}: {message}");
    }
}
