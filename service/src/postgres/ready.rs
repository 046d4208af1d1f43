//! Waiting for a Postgres child: ready, exited or out of time.

use std::{
    fs, io,
    path::Path,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

/// How often a condition that cannot be awaited is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What became of a starting server.
#[derive(Debug)]
pub(super) enum Started {
    Ready,
    Exited(ExitStatus),
    TimedOut,
}

/// Waits until `postmaster.pid` in `pgdata` says that exactly this child is ready.
pub(super) fn wait_ready(child: &mut Child, pgdata: &Path, limit: Duration) -> io::Result<Started> {
    let pid_file = pgdata.join("postmaster.pid");
    let started = poll_until(limit, || {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(Started::Exited(status)));
        }
        // Unreadable means not written yet; a half-written file just says "not ready".
        let text = fs::read_to_string(&pid_file).unwrap_or_default();
        Ok(says_ready(&text, child.id()).then_some(Started::Ready))
    })?;
    Ok(started.unwrap_or(Started::TimedOut))
}

/// Waits for the child to end; `None` when it outlives `limit`.
pub(super) fn wait_exit(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    poll_until(limit, || child.try_wait())
}

/// Whether another postmaster's lock file lies in `pgdata`: a start that failed over it may be tried again.
pub(super) fn is_locked_by_another(pgdata: &Path, ours: u32) -> bool {
    fs::read_to_string(pgdata.join("postmaster.pid"))
        .is_ok_and(|text| first_line_pid(&text).is_some_and(|pid| pid != ours))
}

/// Line 1 is the postmaster's pid, line 8 its status. A stale file says `ready` too, hence the pid.
fn says_ready(postmaster_pid: &str, ours: u32) -> bool {
    first_line_pid(postmaster_pid) == Some(ours)
        && postmaster_pid.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}

fn first_line_pid(postmaster_pid: &str) -> Option<u32> {
    postmaster_pid.lines().next()?.trim().parse().ok()
}

/// Looks at `condition` every few milliseconds until it gives a value or `limit` has passed.
pub(super) fn poll_until<T>(
    limit: Duration,
    mut condition: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition()? {
            return Ok(Some(value));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        pause(POLL);
    }
}

/// The one sleep: Postgres tells of its readiness by rewriting a file, which std cannot await.
#[expect(
    clippy::disallowed_methods,
    reason = "neither a file's rewrite nor a child's exit with a deadline can be awaited with std"
)]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::says_ready;

    const READY: &str = "42\n/data\n1700000000\n5432\n/sock\n\n  123 456\nready   \n";

    #[test]
    fn only_our_own_pid_with_status_ready_counts() {
        assert!(says_ready(READY, 42));
        assert!(!says_ready(READY, 43), "a stale file of another postmaster");
        assert!(!says_ready(&READY.replace("ready   ", "starting"), 42));
        assert!(!says_ready("42\n/data\n", 42), "half written");
        assert!(!says_ready("", 42));
    }
}
