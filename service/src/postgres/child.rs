//! Children that die with us, even on `kill -9`: spawned by one parked thread that outlives them.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus},
    sync::mpsc,
    thread,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

type Spawned = io::Result<Child>;

/// A thread that spawns children on request and stays alive for as long as this value.
///
/// Linux delivers the parent-death signal when the spawning *thread* ends, not the process; spawning from a
/// tokio worker or a libtest thread would stop Postgres when that thread is retired.
#[derive(Debug)]
pub(super) struct Keeper {
    requests: mpsc::Sender<(Command, mpsc::Sender<Spawned>)>,
}

impl Keeper {
    pub(super) fn start() -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<(Command, mpsc::Sender<Spawned>)>();
        thread::Builder::new().name("postgres-keeper".to_owned()).spawn(move || {
            for (mut command, answer) in inbox {
                // A receiver that is gone no longer wants the child.
                if let Err(mpsc::SendError(Ok(mut unwanted))) = answer.send(command.spawn()) {
                    let _ = unwanted.kill();
                    let _ = unwanted.wait();
                }
            }
        })?;
        Ok(Self { requests })
    }

    /// Spawns `command` in its own process group, so that a terminal's Ctrl-C reaches us and not it.
    pub(super) fn spawn(&self, mut command: Command) -> Spawned {
        command.process_group(0);
        die_with_parent(&mut command);
        let (answer, spawned) = mpsc::channel();
        let gone = || io::Error::other("the thread that spawns Postgres ended");
        self.requests.send((command, answer)).map_err(|_| gone())?;
        spawned.recv().map_err(|_| gone())?
    }
}

/// Asks the kernel to interrupt the child (a "fast shutdown" for Postgres) when its parent thread ends.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use rustix::process::{getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let hook = move || {
        set_parent_process_death_signal(Some(Signal::INT))?;
        // The parent may have died between fork and prctl; then no signal will ever come.
        if getppid() != Some(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // std runs this after setuid, which would have cleared the death signal.
    #[expect(
        unsafe_code,
        reason = "pre_exec is the only way to set the parent-death signal; the hook makes two system calls and allocates nothing, so it is safe between fork and exec"
    )]
    unsafe {
        command.pre_exec(hook);
    }
}

/// Other systems have no parent-death signal: there, a killed process may leave its Postgres behind.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command) {}

/// Signals a child that has not been waited for yet; one that has ended is fine.
pub(super) fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    ended_is_fine(kill_process(pid(child)?, signal))
}

/// Kills the child and whatever it forked into its process group.
pub(super) fn kill_group(child: &Child) -> io::Result<()> {
    ended_is_fine(kill_process_group(pid(child)?, Signal::KILL))
}

fn pid(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn ended_is_fine(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `exit status: 1` or `signal: 9`, for messages.
pub(super) fn describe(status: ExitStatus) -> String {
    status.to_string()
}
