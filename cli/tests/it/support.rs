//! Running the binary.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

/// A `posthaste dev` on a busy machine, Postgres included.
pub const START_LIMIT: Duration = Duration::from_mins(1);

/// The binary, without anything of the developer's environment that would change what it does.
pub fn posthaste() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    for name in
        ["DATABASE_URL", "LISTEN_URL", "API_KEY", "API_LISTEN", "SECRET_KEYS", "EGRESS_ALLOW", "LOG", "DATA_DIR"]
    {
        command.env_remove(format!("POSTHASTE_{name}"));
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Output {
    posthaste().args(arguments).output().unwrap()
}

/// What it wrote on stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it wrote on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running `posthaste dev` without samples; killed when dropped.
pub struct Dev {
    pub process: Child,
    pub lines: Receiver<String>,
    folder: tempfile::TempDir,
}

impl Dev {
    /// Starts one in a folder of its own and returns when it says where it is.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = posthaste()
            .args(["dev", "--no-samples", "--api-listen", "127.0.0.1:18710", "--data-dir"])
            .arg(folder.path().join("dev"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let dev = Self { process, lines, folder };
        dev.until_said(" enqueue sample.hello");
        dev
    }

    /// Waits for a line with these words and returns it.
    pub fn until_said(&self, words: &str) -> String {
        let give_up = Instant::now() + START_LIMIT;
        let mut said = String::new();
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => said = said + &line + "\n",
                Err(error) => panic!("never said {words:?} ({error}), but:\n{said}"),
            }
        }
    }

    /// Runs another command on its database.
    pub fn run(&self, arguments: &[&str]) -> Output {
        posthaste().args(arguments).env("POSTHASTE_DATA_DIR", self.folder.path().join("dev")).output().unwrap()
    }

    /// As [`Dev::run`], and reads the JSON that a command which succeeds prints.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The process id of its Postgres, while it has one.
    pub fn postmaster(&self) -> Option<String> {
        let file = self.folder.path().join("dev/postgres/pgdata/postmaster.pid");
        std::fs::read_to_string(file).ok()?.lines().next().map(str::to_owned)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let postmaster = self.postmaster();
        self.process.kill().ok();
        self.process.wait().ok();
        // The folder can only be removed once nobody writes into it.
        postmaster.map(|pid| gone(&pid, Duration::from_secs(20)));
    }
}

/// Waits for the end of a process; `false` when that does not come in time.
#[cfg(target_os = "linux")]
pub fn gone(pid: &str, limit: Duration) -> bool {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::{Pid, PidfdFlags, pidfd_open},
    };
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let limit = Timespec::try_from(limit).unwrap();
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).unwrap() == 1
}

/// Only Linux has the parent-death signal that the tests of this are about.
#[cfg(not(target_os = "linux"))]
pub fn gone(_pid: &str, _limit: Duration) -> bool {
    true
}
