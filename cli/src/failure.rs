//! How a command fails: what is said, and the exit code. 0 went well, 1 failed, 2 was asked wrongly, 130 interrupted.

use std::process::ExitCode;

use posthaste_engine::EngineError;
use posthaste_protocol::problem::FieldError;
use posthaste_service::config::ConfigError;

use crate::output;

/// As shells say of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// The command line makes no sense; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A document that was given makes no sense, found before anybody was asked; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("not accepted")]
pub struct Malformed(pub Vec<FieldError>);

/// Everything was said already; exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
pub struct Said;

/// Ctrl-C, while it waited; exit code 130.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Says what went wrong and gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Said>() {
        return ExitCode::FAILURE;
    }
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        for problem in &config.problems {
            output::error(format_args!("{} {}", problem.setting, problem.message));
        }
        return ExitCode::from(2);
    }
    if let Some(Malformed(faults)) = error.downcast_ref() {
        report_faults(faults);
        return ExitCode::from(2);
    }
    if let Some(EngineError::Faults(faults)) = error.downcast_ref() {
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
        output::note(format_args!("  {field}: {} [{}]", output::clean(said_of(fault)), fault.code));
    }
}

/// The message without the field, which stands before it: those of SQL begin with it, for people who see no more.
fn said_of(fault: &FieldError) -> &str {
    let without = fault.message.strip_prefix(&fault.field).and_then(|rest| rest.strip_prefix(' '));
    without.unwrap_or(&fault.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_said_once() {
        let said = |field: &str, message: &str| said_of(&FieldError::new(field, "c", message)).to_owned();
        assert_eq!(said("kind", "kind may hold only letters"), "may hold only letters");
        assert_eq!(said("kind", "is required"), "is required");
        assert_eq!(said("tag", "tags are too many"), "tags are too many");
        assert_eq!(said("", "not valid JSON"), "not valid JSON");
    }
}
