//! How a body says its job.

/// How the endpoint of an app says what a job is: its `format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// An envelope around the args: `envelope`, and the event of a `lambda` endpoint.
    #[default]
    Envelope,
    /// The args alone, and headers for the rest. There are no steps, no resume and no progress then.
    Raw,
    /// As `raw`, with the attributes of CloudEvents 1.0 (binary mode) in `ce-*` headers.
    CloudEvents,
}
