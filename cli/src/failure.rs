//! How a command fails: what is said, and the exit code. 0 went well, 1 failed, 2 was asked wrongly.

use std::process::ExitCode;

use posthaste_engine::EngineError;
use posthaste_protocol::problem::FieldError;
use posthaste_service::config::ConfigError;

use crate::output;

/// The command line makes no sense; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Everything was said already; exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
pub struct Said;

/// Says what went wrong and gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Said>() {
        return ExitCode::FAILURE;
    }
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        for problem in &config.problems {
            output::error(format_args!("{} {}", problem.setting, problem.message));
        }
        return ExitCode::from(2);
    }
    if let Some(EngineError::Faults(faults)) = error.downcast_ref::<EngineError>() {
        report_faults(faults);
        return ExitCode::FAILURE;
    }
    output::error(format_args!("{error:#}"));
    if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

fn report_faults(faults: &[FieldError]) {
    let plural = if faults.len() == 1 { "fault" } else { "faults" };
    output::error(format_args!("not accepted, {} {plural}:", faults.len()));
    for fault in faults {
        let field = if fault.field.is_empty() { "(the whole)" } else { &fault.field };
        output::note(format_args!("  {field}: {} [{}]", output::clean(&fault.message), fault.code));
    }
}
