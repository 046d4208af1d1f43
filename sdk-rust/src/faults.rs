//! Refused fields as a line of text.

use posthaste_protocol::problem::FieldError;

/// The most faults that a line tells; all of them are in the error.
const MOST: usize = 5;

/// Every fault as its sentence. A field is named once: many sentences begin with theirs.
pub(crate) fn text(faults: &[FieldError]) -> String {
    let mut sentences: Vec<_> = faults.iter().take(MOST).map(sentence).collect();
    if let Some(more) = faults.len().checked_sub(MOST).filter(|more| *more > 0) {
        sentences.push(format!("and {more} more"));
    }
    sentences.join("; ")
}

fn sentence(fault: &FieldError) -> String {
    let after_field = fault.message.strip_prefix(&fault.field);
    if after_field.is_some_and(|rest| rest.starts_with(' ')) { fault.message.clone() } else { fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(field: &str, message: &str) -> FieldError {
        FieldError::new(field, "invalid", message)
    }

    #[test]
    fn a_field_is_named_once() {
        let faults = [
            fault("kind", "kind must be a non-empty name"),
            fault("tags[0]", "a tag must have 1 to 200 characters"),
            fault("a", "args must be a JSON value"),
            fault("", "a job must be an object"),
        ];
        let expected = "kind must be a non-empty name; tags[0]: a tag must have 1 to 200 characters; \
                        a: args must be a JSON value; a job must be an object";
        assert_eq!(text(&faults), expected);
    }

    #[test]
    fn a_line_tells_five_faults_and_counts_the_others() {
        let faults = vec![fault("kind", "kind is wrong"); 7];
        assert_eq!(text(&faults[..5]), ["kind is wrong"; 5].join("; "));
        assert_eq!(text(&faults), format!("{}; and 2 more", ["kind is wrong"; 5].join("; ")));
    }
}
