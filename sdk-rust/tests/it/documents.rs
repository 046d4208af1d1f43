//! What the documents show is what is built.

const README: &str = include_str!("../../README.md");
const HOW_TO: &str = include_str!("../../../docs/how-to/functions-rust.md");

/// An example without the comment at its top.
fn program(file: &'static str) -> &'static str {
    let (comment, program) = file.split_once("\n\n").unwrap();
    assert!(comment.lines().all(|line| line.starts_with("//!")), "{comment}");
    program
}

#[test]
fn the_documents_show_the_whole_program_in_fifteen_lines() {
    let server = program(include_str!("../../examples/axum.rs"));
    assert!(README.contains(server) && HOW_TO.contains(server), "{server}");
    let lambda = program(include_str!("../../examples/lambda.rs"));
    let last = "posthaste::lambda::run(App::from_env()?.on(greet)).await";
    assert!(lambda.contains(last) && README.contains(last) && HOW_TO.contains(last), "{lambda}");
    assert_eq!((server.lines().count(), lambda.lines().count()), (15, 15));
}
