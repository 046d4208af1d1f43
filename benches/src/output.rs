//! What people see: the one module that prints.

/// A line of progress, on stderr.
#[expect(clippy::print_stderr, reason = "progress of a command line tool")]
pub fn progress(line: &str) {
    eprintln!("{line}");
}

/// The report, on stdout.
#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
pub fn report(text: &str) {
    println!("{text}");
}
