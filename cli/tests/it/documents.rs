//! What the documents show is what there is.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_functions_of_the_readme_that_call_back_are_those_of_the_example() {
    let (readme, example) = (read("README.md"), read("examples/functions/python_callbacks.py"));
    let shown = readme.split("```python callbacks\ndef ").nth(1).unwrap().split("```").next().unwrap();
    let shown: Vec<&str> = shown.split("\n\ndef ").map(str::trim_end).collect();
    assert_eq!(shown.len(), 2);
    assert!(shown.iter().all(|function| example.contains(&format!("\ndef {function}\n\n"))), "{shown:#?}");
}

/// The endpoints that a reader of all documents would write on one machine.
fn shown_endpoints() -> Vec<Value> {
    let folders = ["docs/how-to", "examples/functions"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).chain([read("README.md")]);
    let put = |line: &str| {
        let spec = line.split_once("posthaste endpoint put ")?.1.split('\'').nth(1)?;
        // One that ends in the shell's secret is closed here.
        Some(serde_json::from_str(spec).or_else(|_| serde_json::from_str(&format!("{spec}\"}}"))).unwrap())
    };
    texts.flat_map(|text| text.lines().filter_map(put).collect::<Vec<_>>()).collect()
}

#[test]
fn no_two_documents_take_one_kind_or_one_port() {
    let endpoints = shown_endpoints();
    assert!(endpoints.len() >= 5, "{endpoints:?}");
    let (mut kinds, mut urls) = (BTreeSet::new(), BTreeSet::new());
    for endpoint in &endpoints {
        assert!(urls.insert(endpoint["url"].to_string()), "{endpoint}");
        for kind in endpoint["kinds"].as_array().unwrap() {
            assert!(kinds.insert(kind.to_string()), "{endpoint}");
        }
    }
}
