//! The job that everything is measured with: about 300 bytes of args.

/// The args of one job.
pub fn args() -> String {
    let pad = "the quick brown fox jumps over the lazy dog ".repeat(5);
    format!(
        r#"{{"account": 4711, "document": "invoice-2026-11-000042", "language": "en", "pages": 3, "note": "{}"}}"#,
        &pad[..200]
    )
}

/// `count` jobs of `kind` as the JSON array of `posthaste.enqueue_many`.
pub fn batch(kind: &str, count: usize) -> String {
    format!("[{}]", vec![one(kind); count].join(","))
}

/// One job of `kind` as the JSON object of `POST /v1/jobs`.
pub fn one(kind: &str) -> String {
    format!(r#"{{"kind": "{kind}", "args": {}}}"#, args())
}

/// A body of the size that the dispatcher POSTs for one job.
pub fn envelope() -> String {
    format!(
        concat!(
            r#"{{"job":{{"id":"1234567","kind":"bench","queue":"default","attempt":1,"max_attempts":25,"run_lease":1,"#,
            r#""enqueued_at":"2026-11-21T06:00:00.000000Z","tags":[],"metadata":{{}}}},"args":{},"timeout_ms":30000}}"#
        ),
        args()
    )
}
