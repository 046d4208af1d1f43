use posthaste_engine::filter::*;
use posthaste_protocol::id::JobId;
use std::{collections::BTreeMap, hint::black_box, time::Instant};
fn spec(f: &str) -> FilterSpec {
    FilterSpec { filter: Some(f.into()), ..FilterSpec::default() }
}
fn per<T>(n: u32, mut f: impl FnMut() -> T) -> f64 {
    for _ in 0..n / 10 + 1 {
        black_box(f());
    }
    let t = Instant::now();
    for _ in 0..n {
        black_box(f());
    }
    t.elapsed().as_secs_f64() * 1e6 / f64::from(n)
}
fn main() {
    let typical = r#"payload.type == "invoice.paid" && payload.data.amount > 100"#;
    println!("compile typical {:.2} us", per(20000, || Filter::compile(&spec(typical))));
    let cache = FilterCache::new(1000);
    let s = spec(typical);
    println!("cache hit {:.3} us", per(200000, || cache.get(&s)));
    println!(
        "compile with pattern {:.2} us",
        per(2000, || Filter::compile(&spec("payload.type.matches('^invoice\\\\.(paid|settled)$')")))
    );
    println!(
        "compile with \\w pattern {:.2} us",
        per(200, || Filter::compile(&spec("payload.type.matches('^\\\\w+@\\\\w+$')")))
    );
    let too_big = spec("payload.a.matches('(a{1000}){1000}')");
    println!("refuse huge pattern {:.2} us", per(200, || Filter::compile(&too_big)));
    let chain = spec(&format!("payload{}", ".map(x,x)".repeat(60)));
    println!("compile 60 chained macros {:.2} us", per(200, || Filter::compile(&chain)));
    let big = spec(&format!("true{}", "||payload.a.b=='x'".repeat(50)));
    println!("compile 50 terms {:.2} us ok={}", per(2000, || Filter::compile(&big)), Filter::compile(&big).is_ok());
    let headers = BTreeMap::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-github-event".to_owned(), "push".to_owned()),
    ]);
    let meta = serde_json::json!({"a": 1});
    let tags = ["eu".to_owned()];
    let mut run = |name: &str, expr: &str, payload: &serde_json::Value, n: u32| {
        let f = Filter::compile(&spec(expr)).unwrap_or_else(|e| panic!("{expr}: {e:?}"));
        let input = Input {
            payload,
            headers: &headers,
            job: InputJob { id: JobId(42), kind: "k", queue: "q", tags: &tags, metadata: &meta },
            attempt: InputAttempt { number: 1, run_lease: 1 },
        };
        let v = evaluate(&f, &input);
        println!(
            "evaluate {name}: {:.3} us  {}",
            per(n, || evaluate(&f, &input)),
            &format!("{v:?}")[..format!("{v:?}").len().min(110)]
        );
    };
    let body = r#"{"type": "invoice.paid", "data": {"amount": 250, "currency": "eur", "lines": [{"sku": "a", "n": 1}]}, "id": "evt_1"}"#;
    let p = read_payload(body.as_bytes()).unwrap();
    println!("read_payload small {:.3} us", per(100000, || read_payload(body.as_bytes())));
    run("typical", typical, &p, 300000);
    run("headers", "headers['x-github-event'] == 'push'", &p, 300000);
    run("job", "job.kind == 'k' && attempt.number == 1", &p, 300000);
    run("pattern", "payload.type.matches('^invoice\\\\.(paid|settled)$')", &p, 300000);
    let list =
        serde_json::json!((0..1000).map(|n| serde_json::json!({"sku": format!("s{n}"), "n": n})).collect::<Vec<_>>());
    run("exists over 1000", "payload.exists(l, l.sku == 'none')", &list, 2000);
    let k = serde_json::json!(vec![0; 1000]);
    run("4 nested over 1000", "payload.all(a, payload.all(b, payload.all(c, payload.all(d, true))))", &k, 50);
    run("failing nested", "payload.exists(a, payload.exists(b, payload.exists(c, payload.none)))", &k, 50);
    run(
        "concat",
        "payload.map(a, 'x' + 'y').map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a) == []",
        &k,
        50,
    );
    run("lists", "payload.exists(a, [payload, payload, payload, payload].map(x, x + x) == [])", &k, 50);
    run("mapmaking", "payload.all(a, payload.all(b, {'a': a, 'b': b, 'c': 1, 'd': 2, 'e': 3} != {'a': 1}))", &k, 50);
    run("strings of ints", "payload.all(a, payload.all(b, string(b) + string(a) != ''))", &k, 50);
    run(
        "times",
        "payload.all(a, payload.all(b, timestamp('2026-11-21T08:00:00Z') + duration('1h') > timestamp(string(timestamp(b)))))",
        &k,
        50,
    );
    let wide: serde_json::Value = (0..15000)
        .map(|n| (format!("{}{n:05}", "k".repeat(50)), serde_json::json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    run("wide maps", "[1,2,3,4,5,6,7,8].all(a, payload.all(k, payload[k] >= 0))", &wide, 50);
    run("wide equal", "[1,2,3,4,5,6,7,8].all(a, payload == payload)", &wide, 50);
    let t = serde_json::json!("ab".repeat(500_000));
    run("contains", "[1,2,3,4,5,6,7,8].all(n, !payload.contains('abababababac'))", &t, 20);
    run(
        "contains worst",
        "[1,2,3,4,5,6].all(n, !payload.contains('abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababac'))",
        &t,
        20,
    );
    run("size", "[1,2,3,4,5,6].all(n, size(payload) > 0)", &t, 20);
    let ascending: Vec<usize> = vec![1_000, 3_000, 10_000, 30_000, 100_000, 400_000];

    let mut seed = 1_u64;
    let random: String = (0..100_000)
        .map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            if seed >> 63 == 0 { 'a' } else { 'b' }
        })
        .collect();
    for pattern in [
        "^[a-z]+$",
        "(?i)fix(es)? #[0-9]+",
        "(a|b|ab)*c",
        "(a|b|ab){1,20}c",
        "[ab]*a[ab]{8}c",
        "[ab]*a[ab]{14}c",
        "[ab]*a[ab]{20}c",
        "[ab]*a[ab]{60}c",
        "[ab]*a[ab]{100}c",
        "[ab]*a[ab]{200}c",
        "[ab]*a[ab]{400}c",
        "\\\\w+@\\\\w+\\\\.com",
        "(x+x+)+y|\\\\w{8}z",
        "(\\\\w+\\\\s?)+!",
        "([ab]{1,5}){1,5}c",
        "([ab]{1,10}){1,10}c",
        "([ab]{1,14}){1,14}c",
        "\\\\b\\\\w+\\\\b\\\\W\\\\b\\\\w+\\\\bz",
        "(?:[^x]*a){30}x",
        ".{1,40}x",
        "(a?){20}c",
    ] {
        for len in &ascending {
            let t = serde_json::json!(&random[..*len.min(&100_000)]);
            let expr = format!("payload.matches('{pattern}')");
            let Ok(f) = Filter::compile(&spec(&expr)) else {
                println!("refused {pattern}: {:?}", Filter::compile(&spec(&expr)).err());
                break;
            };
            let input = Input {
                payload: &t,
                headers: &headers,
                job: InputJob { id: JobId(42), kind: "k", queue: "q", tags: &tags, metadata: &meta },
                attempt: InputAttempt { number: 1, run_lease: 1 },
            };
            let v = evaluate(&f, &input);
            if matches!(v, Verdict::Quarantine { .. }) {
                println!("   {pattern} {len}: over budget");
                break;
            }
            println!("   {pattern} {len}: {:.1} us", per(20, || evaluate(&f, &input)));
        }
    }
}
