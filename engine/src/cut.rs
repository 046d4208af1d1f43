//! Cut: statements that some callers send without a part of them, which costs or may touch what they must not.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_can_be_left_out() {
        let text = "a\n  -- <x>\nb\n-- <y>\nc\n-- </y>\n-- </x>\nd\n";
        assert_eq!(without(text, "x"), "a\nd\n");
        assert_eq!(without(text, "y"), "a\n  -- <x>\nb\n-- </x>\nd\n");
    }
}
