//! The example functions, as the documents have them, called by a real dispatcher.

use crate::{
    python::Function,
    support::{Dev, stderr, stdout},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_python_function_checks_signatures_and_its_results_and_refusals_are_read_back() {
    let Some(function) = Function::start("python_stdlib.py", &[("POSTHASTE_SIGNING_SECRET", SECRET)]) else {
        eprintln!("no python3: the example in Python was not run");
        return;
    };
    let dev = Dev::start();
    let url = &function.url;
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
