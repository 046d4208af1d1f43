//! What verifies our signatures and tokens and did not come from us: botocore and google-auth, in a process beside.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthaste_tests::Request;
use serde_json::{Map, Value, json};

/// A verifier; it ends with this value.
pub struct Verifier {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// The interpreter of the virtual environment that `make test` makes.
fn python() -> PathBuf {
    let exe = std::env::current_exe().expect("a test has a path");
    // target/debug/deps/it-…
    let target = exe.ancestors().nth(3).expect("a target folder").to_owned();
    let python = target.join("venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make venv` first", python.display());
    python
}

impl Verifier {
    /// Starts one.
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud/verifier.py");
        let mut child = Command::new(python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the verifier starts");
        let pipes = (child.stdin.take().expect("a pipe"), BufReader::new(child.stdout.take().expect("a pipe")));
        Self { child, pipes: Mutex::new(pipes) }
    }

    /// The answer to a question, or what is wrong.
    pub fn try_ask(&self, name: &str, mut question: Value) -> Result<Value, String> {
        question["ask"] = json!(name);
        let (stdin, stdout) = &mut *self.pipes.lock().expect("no panic");
        writeln!(stdin, "{question}").expect("the verifier listens");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the verifier answers");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        match said.get("answer") {
            Some(answer) => Ok(answer.clone()),
            None => Err(said["error"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// The answer to a question that has one.
    pub fn ask(&self, name: &str, question: Value) -> Value {
        self.try_ask(name, question).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What botocore makes of a signed request to `base`, signed with this secret.
    pub fn sigv4(&self, request: &Request, base: &str, secret: &str, token: Option<&str>) -> Value {
        let headers: Map<String, Value> = request
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().expect("text"))))
            .collect();
        let url = format!("{base}{}", request.uri);
        let body = STANDARD.encode(&request.body);
        self.ask(
            "sigv4",
            json!({"method": "POST", "url": url, "headers": headers, "body": body, "secret_key": secret, "token": token}),
        )
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
