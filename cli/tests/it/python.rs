//! The example functions in Python, running.

use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

/// A process that dies with the test.
pub struct Function {
    /// Where it is.
    pub url: String,
    /// What it prints.
    pub lines: Receiver<String>,
    process: Child,
}

impl Function {
    /// A file of `examples/functions` on a free port; `None` where there is no Python.
    pub fn start(file: &str, environment: &[(&str, &str)]) -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/functions").join(file);
        // Free when asked; a test that meets another user of the port in between fails loudly.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("python3");
        command.arg(file).arg(port.to_string()).envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "the function ended before it listened");
            std::thread::yield_now();
        }
        let (sender, lines) = channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Some(Self { url: format!("http://127.0.0.1:{port}/"), lines, process })
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _unimportant = self.process.kill();
        let _unimportant = self.process.wait();
    }
}
