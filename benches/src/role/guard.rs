//! Guard: becomes another program that dies with the orchestrator, however that ends.

use std::{os::unix::process::CommandExt as _, process::Command};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Asks the kernel to kill this process when its parent thread ends; survives `exec`.
pub fn die_with_parent() -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    anyhow::ensure!(getppid().is_some_and(|parent| !parent.is_init()), "the orchestrator is gone");
    Ok(())
}

/// Becomes `program`.
pub fn become_program(program: &str, arguments: &[String]) -> anyhow::Error {
    Command::new(program).args(arguments).exec().into()
}
