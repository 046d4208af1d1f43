//! The example functions, as the documents have them, called by a real dispatcher.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::{Dev, stderr, stdout};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A process that dies with the test.
struct Function {
    process: Child,
    port: u16,
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _unimportant = self.process.kill();
        let _unimportant = self.process.wait();
    }
}

/// The function of the standard library on a free port; `None` where there is no Python.
fn python() -> Option<Function> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/functions/python_stdlib.py");
    // Free when asked; a test that meets another user of the port in between fails loudly.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("python3");
    command.arg(file).arg(port.to_string()).env("POSTHASTE_SIGNING_SECRET", SECRET);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(process.try_wait().unwrap().is_none(), "the function ended before it listened");
        std::thread::yield_now();
    }
    Some(Function { process, port })
}

#[test]
fn the_python_function_checks_signatures_and_its_results_and_refusals_are_read_back() {
    let Some(function) = python() else {
        eprintln!("no python3: the example in Python was not run");
        return;
    };
    let dev = Dev::start();
    let url = format!("http://127.0.0.1:{}/", function.port);
    let spec = |secret: &str| format!(r#"{{"url": "{url}", "kinds": ["render_pdf"], "secret": "{secret}"}}"#);
    let put = dev.run(&["endpoint", "put", "python", "--spec", &spec(SECRET)]);
    assert!(put.status.success(), "{}", stderr(&put));

    let enqueue = |args| dev.run(&["enqueue", "render_pdf", "--args", args, "--wait", "--json"]);
    let done: serde_json::Value = serde_json::from_slice(&enqueue(r#"{"pages": 3}"#).stdout).unwrap();
    assert_eq!((&done["state"], &done["result"]["pages"]), (&"completed".into(), &3.into()), "{done:#}");
    let read = dev.json(&["job", "get", done["id"].as_str().unwrap(), "--json"]);
    assert_eq!(read["result"], done["result"]);

    let refused = enqueue(r#"{"pages": 0}"#);
    assert!(stdout(&refused).contains("http_400") && stdout(&refused).contains("positive whole number"), "{refused:?}");

    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert!(dev.run(&["endpoint", "put", "python", "--spec", &spec(other)]).status.success());
    let unsigned = dev.run(&["enqueue", "render_pdf", "--wait", "--wait-timeout-ms", "3000"]);
    assert!(stderr(&unsigned).contains("http_401"), "{unsigned:?}");
}
