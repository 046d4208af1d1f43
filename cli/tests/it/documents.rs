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

/// The endpoints that a reader of all documents would write on one machine: name, URL, kinds. Two pages may show the same one.
fn shown_endpoints() -> BTreeSet<(String, String, String)> {
    let folders = ["docs/how-to", "examples/functions"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).chain([read("README.md")]);
    let put = |shown: &str| {
        let (name, spec) = shown.split_once(" --spec '")?;
        let spec = spec.split('\'').next()?;
        // One that ends in the shell's secret is closed here.
        let spec: Value = serde_json::from_str(spec).or_else(|_| serde_json::from_str(&format!("{spec}\"}}"))).unwrap();
        Some((name.to_owned(), spec["url"].to_string(), spec["kinds"].to_string()))
    };
    texts.flat_map(|text| text.split("posthaste endpoint put ").skip(1).filter_map(put).collect::<Vec<_>>()).collect()
}

#[test]
fn no_two_documents_take_one_kind_or_one_port() {
    let endpoints = shown_endpoints();
    assert!(endpoints.len() >= 5, "{endpoints:?}");
    let (mut all_kinds, mut urls) = (BTreeSet::new(), BTreeSet::new());
    for (name, url, kinds) in endpoints {
        assert!(urls.insert(url.clone()), "{name}: {url}");
        for kind in serde_json::from_str::<Vec<String>>(&kinds).unwrap() {
            assert!(all_kinds.insert(kind), "{name}: {kinds}");
        }
    }
}
