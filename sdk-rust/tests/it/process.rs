//! The function of the tests as a process of its own.

use std::{path::PathBuf, process::Stdio};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// An example of this package, which a test run builds before the tests.
pub fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build -p posthaste --examples", path.display());
    let mut command = Command::new(path);
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The function behind axum at this port, once it listens.
pub async fn serve(port: u16) -> Child {
    let mut child = example("e2e_function").arg(port.to_string()).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the function ended before it listened");
        tokio::task::yield_now().await;
    }
    child
}
