//! The terminal while the live view has it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rustix::{stdio, termios::tcgetwinsize};

use crate::output::{self, Tone};

/// Alternate screen, no cursor, no wrapping; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A line to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Without escapes.
    pub text: String,
    /// How it looks.
    pub tone: Tone,
    /// Too long for the terminal, it is wrapped (to be copied whole) instead of cut.
    pub wraps: bool,
}

impl Line {
    /// How many rows it takes.
    pub fn rows(&self, columns: usize) -> usize {
        if self.wraps { self.text.chars().count().div_ceil(columns.max(1)).max(1) } else { 1 }
    }
}

/// The terminal; given back when dropped. Meanwhile stderr goes to a file, or it would tear the picture.
#[derive(Debug)]
pub struct Screen {
    stderr: OwnedFd,
    log: PathBuf,
}

impl Screen {
    /// Takes the terminal.
    pub fn claim(log: &Path) -> anyhow::Result<Self> {
        let stderr = divert_stderr(log)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(ENTER.as_bytes())?;
        stdout.flush()?;
        Ok(Self { stderr, log: log.to_owned() })
    }

    /// Where stderr goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Columns and rows.
    pub fn size() -> (usize, usize) {
        match tcgetwinsize(stdio::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// Draws these over what was there, in one write.
    pub fn draw(lines: &[Line]) -> io::Result<()> {
        let colours = output::stdout_colours();
        let mut frame = String::from("\x1b[H");
        for (n, line) in lines.iter().enumerate() {
            if n > 0 {
                frame.push_str("\r\n");
            }
            let text = line.tone.paint(&line.text, colours);
            let (wrap, cut) = if line.wraps { ("\x1b[?7h", "\x1b[?7l") } else { ("", "") };
            frame.extend([wrap, &text, cut, "\x1b[K"]);
        }
        frame.push_str("\x1b[J");
        let mut stdout = io::stdout().lock();
        stdout.write_all(frame.as_bytes())?;
        stdout.flush()
    }
}

/// Does this while stderr is the log: who asks whether it is a terminal, and may be coloured, is told how it will be.
pub fn with_stderr_in<T>(log: &Path, doing: impl FnOnce() -> T) -> anyhow::Result<T> {
    let stderr = divert_stderr(log)?;
    let done = doing();
    stdio::dup2_stderr(&stderr)?;
    Ok(done)
}

/// From now on stderr is the log; gives what it was.
fn divert_stderr(log: &Path) -> anyhow::Result<OwnedFd> {
    let opening = || format!("opening {}", log.display());
    let file: File = OpenOptions::new().create(true).append(true).open(log).with_context(opening)?;
    let stderr = rustix::io::dup(stdio::stderr())?;
    stdio::dup2_stderr(&file)?;
    Ok(stderr)
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = io::stdout().lock();
        // A terminal that is gone needs nothing back.
        let _ = stdout.write_all(LEAVE.as_bytes());
        let _ = stdout.flush();
        let _ = stdio::dup2_stderr(&self.stderr);
    }
}
