//! Mutates the expressions of `tests/corpus/cel` for some seconds, compiles each and evaluates what compiles:
//! `cargo run --release -p posthaste-engine --example fuzz_cel -- SECONDS [SEED]`.
//!
//! Fails on the first expression that panics, in the parser or in us, or whose verdict differs between two
//! evaluations, and prints it with the seed. The same seed makes the same expressions.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for people")]

use std::{
    collections::BTreeMap,
    fs,
    panic::catch_unwind,
    time::{Duration, Instant},
};

use posthaste_engine::filter::{Expression, Input, InputRun, read_payload};
use posthaste_protocol::id::JobId;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// Half of what a thread of the runtime has.
const STACK_BYTES: usize = 1024 * 1024;
/// The most expressions that are mutated.
const MAX_CORPUS: usize = 2000;
/// What is put into an expression.
const WORDS: &[&str] = &[
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
];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let seconds = arguments.next().unwrap_or(10);
    let seed = arguments.next().unwrap_or_else(|| rand::rng().next_u64());
    println!("cel: {seconds} s from seed {seed}");
    let fuzz = move || fuzz(Duration::from_secs(seconds), seed);
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(fuzz).unwrap().join().unwrap();
}

fn fuzz(time: Duration, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut corpus = corpus();
    let committed = corpus.len();
    let payloads = payloads();
    let (mut tried, mut compiled) = (0_u64, 0_u64);
    let begin = Instant::now();
    while begin.elapsed() < time {
        let text = mutated(&mut rng, &corpus);
        tried += 1;
        let Ok(is_sound) = catch_unwind(|| survives(&text, &payloads)) else {
            println!("seed {seed}, expression {tried}: {text:?}");
            std::process::exit(1);
        };
        if is_sound {
            compiled += 1;
            // What compiles is the better start; the committed ones stay, and the whole stays small.
            match rng.random_range(committed..MAX_CORPUS) {
                place if place < corpus.len() => corpus[place] = text,
                _ => corpus.push(text),
            }
        }
    }
    println!("cel: {tried} expressions, {compiled} compiled, none failed");
}

/// Whether the expression compiles. Panics where it must not.
fn survives(text: &str, payloads: &[Value]) -> bool {
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        Err(fault) => {
            assert!(!fault.message.starts_with("cannot be read"), "the parser panicked, or said nothing");
            return false;
        }
    };
    let (headers, metadata) = (BTreeMap::from([("x-a".to_owned(), "b".to_owned())]), json!({"level": 3}));
    let tags = ["paid".to_owned()];
    for payload in payloads {
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
            read_value(&text);
        }
    }
    true
}

/// A value is JSON that Postgres stores.
fn read_value(text: &str) {
    serde_json::from_str::<Value>(text).expect("JSON");
    posthaste_protocol::guard::check(text).expect("storable JSON");
}

fn mutated(rng: &mut StdRng, corpus: &[String]) -> String {
    let mut text = corpus[rng.random_range(0..corpus.len())].clone();
    for _ in 0..rng.random_range(1..5) {
        let (from, to) = (place(rng, &text), place(rng, &text));
        let (from, to) = (from.min(to), from.max(to));
        match rng.random_range(0..5) {
            0 => text.replace_range(from..to.min(text.ceil_char_boundary(from + 8)), ""),
            1 => text.insert_str(from, WORDS[rng.random_range(0..WORDS.len())]),
            2 => {
                let part = text[from..to].repeat(rng.random_range(1..4));
                text.insert_str(to, &part);
            }
            3 => {
                let other = &corpus[rng.random_range(0..corpus.len())];
                let (a, b) = (place(rng, other), place(rng, other));
                text.insert_str(from, &other[a.min(b)..a.max(b)]);
            }
            _ => {
                let other: String = text[from..to].chars().map(|c| flipped(c, rng)).collect();
                text.replace_range(from..to, &other);
            }
        }
        text.truncate(text.floor_char_boundary(2100));
    }
    text
}

/// Mostly the same; now and then another.
fn flipped(c: char, rng: &mut StdRng) -> char {
    if rng.random_range(0..20) == 0 { char::from(rng.random_range(1..127_u8)) } else { c }
}

fn place(rng: &mut StdRng, text: &str) -> usize {
    text.floor_char_boundary(rng.random_range(0..=text.len()))
}

fn corpus() -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["compiles", "refused"] {
        let path = format!("{}/../tests/corpus/cel/{folder}", env!("CARGO_MANIFEST_DIR"));
        files.extend(fs::read_dir(path).unwrap().map(|file| file.unwrap().path()));
    }
    // In one order, so that a seed means the same everywhere.
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn payloads() -> Vec<Value> {
    [
        r#"{"type":"invoice.paid","a":[1,"a",null,{"a":true}],"b":-1.5,"ids":[1,2,3],"lines":[{"sku":"b","n":20}]}"#,
        "[[0,1],[2]]",
        "18446744073709551615",
    ]
    .iter()
    .map(|json| read_payload(json.as_bytes()).unwrap())
    .collect()
}
