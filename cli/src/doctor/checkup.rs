//! What the doctor found.

use posthaste_engine::EngineError;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// A promise cannot be kept.
    Fail,
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do.
    pub fix: Option<String>,
}

/// The report.
#[derive(Debug, Default)]
pub struct Checkup {
    /// In the order in which they were looked at.
    pub findings: Vec<Finding>,
}

impl Checkup {
    /// All is well.
    pub fn ok(&mut self, check: impl Into<String>, detail: impl Into<String>) {
        self.add(check.into(), Verdict::Ok, detail.into(), None);
    }

    /// Look at this.
    pub fn warn(&mut self, check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(check.into(), Verdict::Warn, detail.into(), Some(fix.into()));
    }

    /// This is broken.
    pub fn fail(&mut self, check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(check.into(), Verdict::Fail, detail.into(), Some(fix.into()));
    }

    /// The value of a look, or a failed check where the look itself did not succeed.
    pub fn seen<T>(&mut self, check: &str, look: Result<T, EngineError>) -> Option<T> {
        match look {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(check, error.to_string(), "the check itself could not be made");
                None
            }
        }
    }

    /// The worst verdict.
    pub fn worst(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
    }

    fn add(&mut self, check: String, verdict: Verdict, detail: String, fix: Option<String>) {
        self.findings.push(Finding { check, verdict, detail, fix });
    }
}
