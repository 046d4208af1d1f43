//! All faults of a refused job in one answer: those of its text, and those that only the database knows.
//!
//! Types and unknown fields are found while a job is read, ranges and names by `posthaste.enqueue`. So a job that is
//! refused already is sent on with what could be read of it, and with a trace context that no job may have: whatever
//! else the database finds, it writes nothing.

use std::collections::BTreeMap;

use posthaste_protocol::{new_job::NewJob, problem::FieldError};
use serde_json::value::RawValue;

use crate::job_text::job_text;

/// The field for which the database refuses, and a value that it cannot have.
const REFUSED_FOR: (&str, &str) = ("traceparent", "refused already");
/// Stands in for a kind that is missing or cannot be read, which is a fault already.
const SOME_KIND: &str = r#""k""#;
/// A document with more fields than this is not looked at further: a job has fewer, and each costs a reading.
const MAX_FIELDS: usize = 32;
/// The most faults of one document.
const MAX_FAULTS: usize = 100;

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// What can be read of a refused job, as a text that the database refuses too; `None` if it is no object, or one with
/// far more fields than a job has.
pub fn readable(json: &str) -> Option<String> {
    let mut fields: Fields = serde_json::from_str(json).ok()?;
    if fields.len() > MAX_FIELDS {
        return None;
    }
    let some_kind: &RawValue = serde_json::from_str(SOME_KIND).ok()?;
    // Each by itself: one that cannot be read must not hide the others.
    fields.retain(|name, value| {
        let with_kind = Fields::from([("kind".to_owned(), some_kind), (name.clone(), *value)]);
        parse(&with_kind).is_some()
    });
    fields.entry("kind".to_owned()).or_insert(some_kind);
    Some(job_text(&parse(&fields)?, Some(REFUSED_FOR.1)))
}

fn parse(fields: &Fields) -> Option<NewJob> {
    NewJob::parse(&serde_json::to_string(fields).ok()?).ok()
}

/// The faults of the text, then those that the database found in what was readable.
pub fn join(mut found: Vec<FieldError>, by_the_database: Vec<FieldError>) -> Vec<FieldError> {
    found.extend(by_the_database.into_iter().filter(|fault| fault.field != REFUSED_FOR.0));
    found.truncate(MAX_FAULTS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_of_a_refused_job_is_kept_byte_for_byte() {
        let text =
            readable(r#"{"kind":7,"nope":1,"a.b":{},"priority":9,"args":{"x" : 1.50},"tags":[1],"run_at":"soon"}"#);
        assert_eq!(
            text.as_deref(),
            Some(r#"{"kind":"k","args":{"x" : 1.50},"priority":9,"traceparent":"refused already"}"#)
        );
        let kept = readable(r#"{"kind":"a b","nope":1}"#).unwrap();
        assert!(kept.starts_with(r#"{"kind":"a b""#), "{kept}");
        for no_object in ["[]", "{", "null", ""] {
            assert_eq!(readable(no_object), None);
        }
        let crowd: BTreeMap<String, u8> = (0..33).map(|n| (format!("f{n}"), n)).collect();
        assert_eq!(readable(&serde_json::to_string(&crowd).unwrap()), None);
    }

    #[test]
    fn the_reason_of_our_own_is_no_fault_of_the_job_and_the_list_is_bounded() {
        let fault = |field: &str| FieldError::new(field, "c", "m");
        let joined = join(vec![fault("nope")], vec![fault("priority"), fault("traceparent")]);
        assert_eq!(joined.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["nope", "priority"]);
        assert_eq!(join(vec![fault("a"); 99], vec![fault("b"); 9]).len(), 100);
    }
}
