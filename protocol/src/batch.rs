//! Batches of jobs: a JSON array or one job a line, each job standing or falling alone.
//!
//! Items are borrowed from the body and read once; nothing becomes a tree.

use serde_json::value::RawValue;

use crate::new_job::NewJob;
use crate::object::{ItemsError, each_item, malformed};
use crate::problem::{Code, FieldError, Problem};

/// The most jobs in one batch.
pub const MAX_BATCH: usize = 10_000;
/// The most faults reported for one batch in full; past it, each job keeps its first only.
const MAX_BATCH_FAULTS: usize = 10_000;

/// Reads a batch: a JSON array of jobs or, with `ndjson`, one job a line (blank lines are skipped). Each job stands
/// or falls alone, in the order sent, with the faults that [`NewJob::parse`] finds; past 10,000 faults in one batch
/// only the first of each job.
///
/// `Err` where the batch as a whole cannot be read: 400 if it is not UTF-8 or not JSON, 422 if it is no array or
/// holds more than [`MAX_BATCH`] jobs. A line that is not JSON is only that line's fault.
pub fn parse_batch(body: &[u8], ndjson: bool) -> Result<Vec<Result<NewJob, Vec<FieldError>>>, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::new(Code::MalformedJson, format!("the body is not UTF-8: {error}")))?;
    if ndjson { parse_lines(text) } else { parse_array(text) }
}

fn parse_lines(text: &str) -> Result<Vec<Result<NewJob, Vec<FieldError>>>, Problem> {
    let lines = || text.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty());
    if lines().nth(MAX_BATCH).is_some() {
        return Err(too_many());
    }
    let mut reported = 0;
    Ok(lines().map(|line| parse_item(line, &mut reported)).collect())
}

fn parse_array(text: &str) -> Result<Vec<Result<NewJob, Vec<FieldError>>>, Problem> {
    if !text.trim_ascii_start().starts_with('[') {
        return Err(Problem::invalid(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => vec![FieldError::new("", "wrong_type", "must be a JSON array of jobs")],
            Err(error) => malformed(&error),
        }));
    }
    let (mut jobs, mut reported) = (Vec::new(), 0);
    match each_item(text, MAX_BATCH, |_, job| {
        jobs.push(parse_item(job.get(), &mut reported));
    }) {
        Ok(()) => Ok(jobs),
        Err(ItemsError::TooMany) => Err(too_many()),
        Err(ItemsError::Malformed(error)) => Err(Problem::invalid(malformed(&error))),
    }
}

/// Reads one job of a batch; keeps the answer to a hostile batch from being many times its size.
fn parse_item(json: &str, reported: &mut usize) -> Result<NewJob, Vec<FieldError>> {
    NewJob::parse(json).map_err(|mut errors| {
        if *reported >= MAX_BATCH_FAULTS {
            errors.truncate(1);
        }
        *reported += errors.len();
        errors
    })
}

fn too_many() -> Problem {
    Problem::invalid(vec![FieldError::new("", "too_many", format!("must have at most {MAX_BATCH} jobs"))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_keeps_order_and_each_job_stands_alone() {
        for (body, ndjson) in [
            (r#"[{"kind":"a"}, {"kind":2}, 3, {"kind":"d"}]"#, false),
            ("{\"kind\":\"a\"}\r\n{\"kind\":2}\n\n3\n{\"kind\":\"d\"}", true),
        ] {
            let jobs = parse_batch(body.as_bytes(), ndjson).unwrap();
            let kinds: Vec<_> = jobs.iter().map(|job| job.as_ref().ok().map(|job| job.kind.as_str())).collect();
            assert_eq!(kinds, [Some("a"), None, None, Some("d")]);
        }
        let lines = parse_batch(b"{\n{\"kind\":\"b\"}\n", true).unwrap();
        assert_eq!(lines[0].as_ref().unwrap_err()[0].code, "malformed_json");
        assert!(lines[1].is_ok());
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_a_problem() {
        for (body, status) in
            [(&b"\xff"[..], 400), (b"[{\"kind\":\"a\"}", 400), (b"", 400), (b"[1] 2", 400), (b"{}", 422)]
        {
            assert_eq!(parse_batch(body, false).unwrap_err().status, status, "{body:?}");
        }
    }

    #[test]
    fn a_batch_has_at_most_ten_thousand_jobs() {
        let array = |n: usize| format!("[{}]", vec![r#"{"kind":"a"}"#; n].join(","));
        assert_eq!(parse_batch(array(MAX_BATCH).as_bytes(), false).unwrap().len(), MAX_BATCH);
        assert_eq!(parse_batch(array(MAX_BATCH + 1).as_bytes(), false).unwrap_err().errors[0].code, "too_many");
        let lines = "{\"kind\":\"a\"}\n".repeat(MAX_BATCH + 1);
        assert_eq!(parse_batch(lines.as_bytes(), true).unwrap_err().errors[0].code, "too_many");
    }

    #[test]
    fn the_faults_of_a_batch_are_bounded() {
        let bad = r#"{"a":1,"b":1,"c":1,"d":1,"kind":"k"}"#;
        let jobs = parse_batch(format!("[{}]", vec![bad; MAX_BATCH].join(",")).as_bytes(), false).unwrap();
        let faults: usize = jobs.iter().map(|job| job.as_ref().unwrap_err().len()).sum();
        assert_eq!(faults, MAX_BATCH_FAULTS + (MAX_BATCH - MAX_BATCH_FAULTS / 4));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..60), ndjson: bool) {
            let _unimportant = parse_batch(&body, ndjson);
        }
    }
}
