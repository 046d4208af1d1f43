//! Cut: statements that some callers send without a part of them, which costs or may touch what they must not, and parts
//! that two statements share.

/// The text without the lines between `-- <part>` and `-- </part>`, and without these.
pub(crate) fn without(text: &str, part: &str) -> String {
    let (begin, end) = (format!("-- <{part}>"), format!("-- </{part}>"));
    let mut cutting = false;
    let mut rest = String::with_capacity(text.len());
    for line in text.lines() {
        match line.trim_start() {
            mark if mark == begin => cutting = true,
            mark if mark == end => cutting = false,
            _ if cutting => {}
            _ => rest.extend([line, "\n"]),
        }
    }
    rest
}

/// The lines between `-- <part>` and `-- </part>`.
pub(crate) fn within<'t>(text: &'t str, part: &str) -> &'t str {
    let (begin, end) = (format!("-- <{part}>\n"), format!("-- </{part}>\n"));
    let from = text.find(&begin).map_or(text.len(), |at| at + begin.len());
    let rest = &text[from..];
    rest.find(&end).map_or(rest, |at| &rest[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_can_be_left_out_and_taken_alone() {
        let text = "a\n  -- <x>\nb\n-- <y>\nc\n-- </y>\n-- </x>\nd\n";
        assert_eq!(without(text, "x"), "a\nd\n");
        assert_eq!(without(text, "y"), "a\n  -- <x>\nb\n-- </x>\nd\n");
        assert_eq!(within(text, "x"), "b\n-- <y>\nc\n-- </y>\n");
        assert_eq!((within(text, "y"), within(text, "z")), ("c\n", ""));
    }
}
