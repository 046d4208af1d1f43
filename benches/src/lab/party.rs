//! A party: one child process that dies with us.

use std::{process::Stdio, time::Duration};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// How long a party may take to say what it is asked for.
const PATIENCE: Duration = Duration::from_mins(3);

/// A child process; killed when this is dropped, and by the kernel when the orchestrator dies.
pub struct Party {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its process id.
    pub pid: u32,
}

impl Party {
    /// Starts a role of this binary.
    pub fn role(arguments: &[&str]) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        Self::start(Command::new(program).args(arguments))
    }

    /// Starts another program behind a guard, with these variables.
    pub fn program(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["guard", "--", program]).args(arguments).envs(variables.iter().copied());
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log()?).kill_on_drop(true);
        let mut child = command.spawn().context("starting a party of the benchmark")?;
        let stdout = child.stdout.take().context("a party without stdout")?;
        let pid = child.id().context("a party without a process id")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), pid })
    }

    /// The next line it says.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        self.line_within(PATIENCE).await
    }

    /// The next line of one that has long work to do.
    pub async fn line_within(&mut self, patience: Duration) -> anyhow::Result<String> {
        let line = tokio::time::timeout(patience, self.lines.next_line()).await.context("a party said nothing")??;
        line.context("a party ended too early; see target/bench.log")
    }

    /// The rest of the next line that begins with `word`.
    pub async fn word(&mut self, word: &str) -> anyhow::Result<String> {
        loop {
            if let Some(rest) = self.line().await?.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Says one line to it.
    pub async fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let stdin = self.child.stdin.as_mut().context("a party without stdin")?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(stdin.flush().await?)
    }

    /// Closes its stdin and waits for its end.
    pub async fn dismiss(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        self.ended().await
    }

    /// SIGTERM, then waits for its end.
    pub async fn terminate(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid)?).context("a process id of 0")?;
        kill_process(pid, Signal::TERM)?;
        self.ended().await
    }

    async fn ended(&mut self) -> anyhow::Result<()> {
        let status = tokio::time::timeout(Duration::from_secs(40), self.child.wait()).await;
        let status = status.context("a party did not end")??;
        anyhow::ensure!(status.success(), "a party ended with {status}; see target/bench.log");
        Ok(())
    }
}

/// Where parties complain; never a terminal, which would slow them down.
fn log() -> anyhow::Result<Stdio> {
    let folder = std::env::current_exe()?;
    let folder = folder.parent().context("a binary without a folder")?;
    Ok(std::fs::OpenOptions::new().create(true).append(true).open(folder.join("bench.log"))?.into())
}
