//! What users of the crate compile.

use std::process::Command;

fn tree(arguments: &[&str]) -> Vec<String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let mut command = Command::new(cargo);
    command.args(["tree", "-p", "posthaste", "-e", "normal,build", "--prefix", "none", "--locked", "--offline"]);
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

fn assert_without(arguments: &[&str], forbidden: &[&str]) {
    let crates = tree(arguments);
    assert!(crates.iter().any(|name| name == "posthaste-protocol"), "{crates:?}");
    let found: Vec<_> = crates.iter().filter(|name| forbidden.iter().any(|bad| name.starts_with(bad))).collect();
    assert!(found.is_empty(), "{arguments:?} compiles {found:?}");
}

/// What only services need: never, whatever features are on.
const INTERNALS: &[&str] = &[
    "posthaste-engine",
    "posthaste-service",
    "posthaste-dispatcher",
    "posthaste-api",
    "posthaste-callback-gateway",
    "posthaste-tests",
    "blake3",
    "chacha20poly1305",
    "cel",
];

#[test]
fn the_default_features_compile_no_framework_no_driver_and_no_server() {
    let heavy = ["axum", "hyper", "lambda", "reqwest", "rustls", "ring", "sqlx", "tokio", "postgres"];
    assert_without(&[], &[INTERNALS, &heavy].concat());
}

#[test]
fn no_feature_compiles_internals_of_the_server_or_a_second_tls() {
    assert_without(&["--all-features"], &[INTERNALS, &["openssl-sys", "native-tls", "aws-lc"]].concat());
}
