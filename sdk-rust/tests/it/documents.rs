//! What the documents show is what is built.

const README: &str = include_str!("../../README.md");
const FRONT: &str = include_str!("../../../README.md");
const HOW_TO: &str = include_str!("../../../docs/how-to/functions-rust.md");
const ENQUEUE: &str = include_str!("../../../docs/how-to/enqueue-rust.md");

/// An example without the comment at its top.
fn program(file: &'static str) -> &'static str {
    let (comment, program) = file.split_once("\n\n").unwrap();
    assert!(comment.lines().all(|line| line.starts_with("//!")), "{comment}");
    program
}

#[test]
fn the_documents_show_the_whole_program_in_fifteen_lines() {
    let server = program(include_str!("../../examples/axum.rs"));
    assert!([README, FRONT, HOW_TO].iter().all(|page| page.contains(server)), "{server}");
    let lambda = program(include_str!("../../examples/lambda.rs"));
    let last = "posthaste::lambda::run(App::from_env()?.on(greet)).await";
    assert!(lambda.contains(last) && README.contains(last) && HOW_TO.contains(last), "{lambda}");
    assert_eq!((server.lines().count(), lambda.lines().count()), (15, 15));
}

#[test]
fn the_how_to_shows_the_whole_program_that_accepts_and_calls_back() {
    let program = program(include_str!("../../examples/accepted.rs"));
    assert!(HOW_TO.contains(&format!("```rust,no_run\n{program}```")), "{program}");
}

/// The version that a manifest or a page asks for in the line of this dependency, of which the patch is left out.
fn version<'a>(page: &'a str, name: &str) -> &'a str {
    let lines: Vec<_> = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = ")).collect();
    let [line] = lines[..] else { panic!("{name} is in {} lines", lines.len()) };
    let version = line.split('"').nth(1).unwrap();
    version.match_indices('.').nth(1).map_or(version, |(patch, _)| &version[..patch])
}

#[test]
fn the_documents_and_the_compilers_advice_name_the_versions_of_the_drivers() {
    let manifest = include_str!("../../Cargo.toml").split("dependencies]\n").nth(1).unwrap();
    let advice = include_str!("../../src/enqueue/mod.rs");
    for driver in ["sqlx", "tokio-postgres"] {
        let built = version(manifest, driver);
        assert_eq!(version(ENQUEUE, driver), built, "{driver}");
        let named = format!("{driver} {built}");
        assert!(README.contains(&named) && advice.contains(&named), "{named}");
    }
}
