//! Running the binary.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

/// A `posthaste dev` on a busy machine, Postgres included.
pub const START_LIMIT: Duration = Duration::from_mins(1);

/// The binary, without anything of the developer's environment that would change what it does.
pub fn posthaste() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    for name in [
        "DATABASE_URL",
        "LISTEN_URL",
        "API_KEY",
        "API_LISTEN",
        "GATEWAY_URL",
        "TOKEN_KEYS",
        "SECRET_KEYS",
        "EGRESS_ALLOW",
        "LOG",
        "DATA_DIR",
    ] {
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

/// A running `posthaste dev`; killed when dropped.
pub struct Dev {
    pub process: Child,
    pub lines: Receiver<String>,
    folder: tempfile::TempDir,
}

impl Dev {
    /// Starts one without samples and returns when it says where it is.
    pub fn start() -> Self {
        let dev = Self::start_with(&["--no-samples"]);
        dev.until_said(" enqueue sample.hello");
        dev
    }

    /// Starts one in a folder of its own.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = posthaste()
            .args(["dev", "--api-listen", "127.0.0.1:18710", "--data-dir"])
            .arg(folder.path().join("dev"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { process, lines, folder }
    }

    /// Waits for a line with these words and returns all that was said until then.
    pub fn until_said(&self, words: &str) -> String {
        let give_up = Instant::now() + START_LIMIT;
        let mut said = String::new();
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(words);
                    said = said + &line + "\n";
                    if found {
                        return said;
                    }
                }
                Err(error) => panic!("never said {words:?} ({error}), but:\n{said}"),
            }
        }
    }

    /// Another command on its database.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = posthaste();
        command.args(arguments).env("POSTHASTE_DATA_DIR", self.folder.path().join("dev"));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// As [`Dev::run`], and reads the JSON that a command which succeeds prints.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A request to its API (such as `GET /v1/jobs`), with more header lines: the status, and the whole answer.
    pub fn http(&self, request: &str, headers: &str, body: &str) -> (u16, String) {
        let note = self.note();
        let address = note["api_url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    /// Where it says that it is, for other commands.
    pub fn note(&self) -> serde_json::Value {
        let note = std::fs::read(self.folder.path().join("dev/dev.json")).unwrap();
        serde_json::from_slice(&note).unwrap()
    }

    /// What its Postgres has logged.
    pub fn postgres_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("dev/postgres/postgres.log")).unwrap()
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

/// Ctrl-C.
pub fn interrupt(process: &Child) {
    let pid = rustix::process::Pid::from_raw(process.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
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
