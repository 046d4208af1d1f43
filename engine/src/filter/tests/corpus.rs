//! The committed expressions of `tests/corpus/cel`, from which `make fuzz` starts too.

use std::fs;

use super::*;

fn corpus(folder: &str) -> Vec<(String, String)> {
    let path = format!("{}/../tests/corpus/cel/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn what_compiles_in_the_corpus_ends_within_its_budget() {
    let expressions = corpus("compiles");
    assert!(expressions.len() >= 30);
    let ids: Vec<_> = (0..1000).collect();
    let payloads = [json!({"type": "invoice.paid", "ids": ids, "n": 2}), json!(null), json!([{"a": "b"}])];
    for (path, text) in expressions {
        let expression = Expression::compile(&text).unwrap_or_else(|fault| panic!("{path}: {}", fault.message));
        for payload in &payloads {
            let value = with_input(payload, |input| expression.evaluate(input));
            assert_eq!(value, with_input(payload, |input| expression.evaluate(input)), "{path}: deterministic");
            if let Err(error) = value {
                assert!(["cel_failed", "cel_limit"].contains(&error.code), "{path}: {error}");
            }
        }
    }
}

#[test]
fn what_is_refused_in_the_corpus_is_refused_with_a_reason() {
    let expressions = corpus("refused");
    assert!(expressions.len() >= 40);
    for (path, text) in expressions {
        let fault = Expression::compile(&text).err().unwrap_or_else(|| panic!("{path} compiles"));
        // What stands for a panic of the parser.
        assert!(!fault.message.starts_with("cannot be read"), "{path}: {}", fault.message);
    }
}
