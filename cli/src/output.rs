//! The one place that writes: data on stdout, everything else on stderr.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;

/// Set once, from `NO_COLOR` or `--no-color`.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// A colour or weight, by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Headings.
    Bold,
    /// Side notes.
    Dim,
    /// It went well.
    Good,
    /// Look at this.
    Warn,
    /// It went wrong.
    Bad,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
        }
    }

    /// Surrounds `text` with this tone's escapes, unless colours are off.
    pub fn paint(self, text: &str, colours: bool) -> String {
        if self == Self::Plain || !colours { text.to_owned() } else { format!("\x1b[{}m{text}\x1b[0m", self.code()) }
    }
}

/// No colours, whatever the terminal.
pub fn no_colours() {
    PLAIN.store(true, Ordering::Relaxed);
}

/// Whether stdout is a terminal that may be coloured.
pub fn stdout_colours() -> bool {
    !PLAIN.load(Ordering::Relaxed) && io::stdout().is_terminal()
}

fn stderr_colours() -> bool {
    !PLAIN.load(Ordering::Relaxed) && io::stderr().is_terminal()
}

/// A line of data. A reader that has gone away (`| head`) wants no more: the command ends, and says nothing about it.
pub fn data(line: impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}")
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        std::process::exit(0);
    }
}

/// Data as one line of JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    data(serde_json::to_string(value)?);
    Ok(())
}

/// Something for the person at the terminal.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Something for the person at the terminal, in a tone.
pub fn note_in(tone: Tone, line: impl Display) {
    note(tone.paint(&line.to_string(), stderr_colours()));
}

/// `error: …`, the first word red.
pub fn error(line: impl Display) {
    note(format_args!("{} {line}", Tone::Bad.paint("error:", stderr_colours())));
}

/// Text without control characters, which a function could send to take over the terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tones_can_be_turned_off_and_escapes_of_others_do_not_pass() {
        assert_eq!(Tone::Bad.paint("x", true), "\x1b[31mx\x1b[0m");
        assert_eq!(Tone::Bad.paint("x", false), "x");
        assert_eq!(clean("a\x1b[2Jb\nc\u{9b}d"), "a [2Jb c d");
    }
}
