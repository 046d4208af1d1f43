//! Tables for people: columns as wide as they need to be.

use crate::output;

/// Rows under headings; numbers are right-aligned.
#[derive(Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| output::clean(&cell)).collect());
    }

    /// The lines, headings first.
    pub fn lines(&self) -> Vec<String> {
        let widths: Vec<usize> = self.headings.iter().enumerate().map(|(n, heading)| self.width(n, heading)).collect();
        let headings: Vec<String> = self.headings.iter().map(|heading| heading.to_uppercase()).collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| line(row, &widths)).collect()
    }

    /// Prints it as data: headings bold, rows plain.
    pub fn print(&self) {
        let colours = output::stdout_colours();
        for (n, line) in self.lines().into_iter().enumerate() {
            let tone = if n == 0 { output::Tone::Bold } else { output::Tone::Plain };
            output::data(tone.paint(&line, colours));
        }
    }

    fn width(&self, column: usize, heading: &str) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading.len()]).max().unwrap_or(0)
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let number = !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let padded = if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        line.push_str(&padded);
        line.push_str("  ");
    }
    line.truncate(line.trim_end().len());
    line
}

/// `text`, cut to `limit` characters.
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut table = Table::new(&["id", "kind"]);
        table.row(["7".to_owned(), "a".to_owned()]);
        table.row(["1234".to_owned(), "b\u{7}c".to_owned()]);
        assert_eq!(table.lines(), ["ID    KIND", "   7  a", "1234  b c"]);
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
