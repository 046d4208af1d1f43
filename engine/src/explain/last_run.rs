//! The run before: why a job that waits has not ended yet, or why it ended.

use sqlx::{Row, postgres::PgRow};

/// More of a message than this hides the rest of the sentence.
const MESSAGE_CHARS: usize = 200;

/// How the last run of a job ended, when the job goes on, is dead or cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastRun {
    pub(super) run_lease: i64,
    pub(super) attempt: i16,
    /// Whether it used the attempt.
    pub(super) counted: bool,
    pub(super) outcome: String,
    pub(super) class: Option<String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

impl LastRun {
    /// From the columns `last_…`; `None` when no run came before.
    pub(super) fn from_row(row: &PgRow) -> Result<Option<Self>, sqlx::Error> {
        let Some(run_lease) = row.try_get("last_run")? else { return Ok(None) };
        Ok(Some(Self {
            run_lease,
            attempt: row.try_get("last_attempt")?,
            counted: row.try_get("last_counted")?,
            outcome: row.try_get("last_outcome")?,
            class: row.try_get("last_class")?,
            code: row.try_get("last_code")?,
            message: row.try_get("last_message")?,
        }))
    }

    /// What became of it: `attempt 2 failed (http_500: …)`.
    pub(super) fn clause(&self) -> String {
        let (run, attempt, why) = (self.run_lease, self.attempt, self.why());
        if self.counted {
            return format!("attempt {attempt} failed{why}");
        }
        let what = match (self.outcome.as_str(), self.class.as_deref()) {
            ("snoozed", _) => "asked to be called again later",
            ("throttled", _) => "was throttled",
            ("released", _) => "was given back unsent",
            (_, Some("not_sent")) => "was not sent",
            _ => "failed",
        };
        format!("run {run} {what}{why} and used no attempt")
    }

    /// `(http_500: …)` after a space, or nothing.
    pub(super) fn why(&self) -> String {
        let Some(code) = &self.code else { return String::new() };
        let message = self.message.as_deref().unwrap_or_default();
        if message.is_empty() {
            return format!(" ({code})");
        }
        let cut: String = message.chars().take(MESSAGE_CHARS).collect();
        let more = if cut.len() < message.len() { "…" } else { "" };
        format!(" ({code}: {cut}{more})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(outcome: &str, class: Option<&str>, counted: bool) -> LastRun {
        LastRun {
            run_lease: 3,
            attempt: 2,
            counted,
            outcome: outcome.to_owned(),
            class: class.map(str::to_owned),
            code: Some("code".to_owned()),
            message: Some("words".to_owned()),
        }
    }

    #[test]
    fn a_run_is_told_by_what_it_cost_and_why() {
        let clause = |outcome, class, counted| ended(outcome, class, counted).clause();
        assert_eq!(clause("retried", Some("responded"), true), "attempt 2 failed (code: words)");
        assert_eq!(clause("rescued", Some("unknown"), true), "attempt 2 failed (code: words)");
        let free = "and used no attempt";
        assert_eq!(clause("retried", Some("not_sent"), false), format!("run 3 was not sent (code: words) {free}"));
        assert_eq!(clause("retried", Some("responded"), false), format!("run 3 failed (code: words) {free}"));
        assert_eq!(clause("throttled", Some("responded"), false), format!("run 3 was throttled (code: words) {free}"));
        let snoozed = LastRun { code: None, ..ended("snoozed", Some("responded"), false) };
        assert_eq!(snoozed.clause(), format!("run 3 asked to be called again later {free}"));
    }

    #[test]
    fn a_long_message_is_cut() {
        let long = LastRun { message: Some("ä".repeat(5000)), ..ended("retried", None, true) };
        assert!(long.clause().len() < 600 && long.clause().ends_with("…)"), "{}", long.clause());
        let none = LastRun { message: None, ..long };
        assert_eq!(none.clause(), "attempt 2 failed (code)");
    }
}
