//! Calling back, as docs/how-to/callbacks.md goes through it: the example function, and senders that are not ours.

use std::{
    collections::HashMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use posthaste_service::clock::unix_now;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{Connection as _, PgConnection};
use standardwebhooks::Webhook;

use crate::{
    python::Function,
    support::{Dev, stderr, stdout},
};

const BILLING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const GITHUB: &str = "it is a secret to everybody";
const STRIPE: &str = "whsec_an_example_of_stripe";
/// For what takes milliseconds on a machine that does nothing else.
const LIMIT: Duration = Duration::from_secs(30);

/// A `dev` whose jobs go to the example.
struct Flow {
    dev: Dev,
    function: Function,
}

/// What the function was given to call back with.
struct Run {
    url: String,
    token: String,
    hook_url: String,
}

impl Flow {
    fn enqueue(&self, kind: &str, more: &[&str]) -> String {
        let enqueued = self.dev.json(&[&["enqueue", kind, "--json"], more].concat());
        enqueued["id"].as_str().unwrap().to_owned()
    }

    /// What the function prints for the next run of this job.
    fn run(&self, job: &str) -> Run {
        loop {
            let line = self.function.lines.recv_timeout(LIMIT).unwrap();
            let mut values: HashMap<&str, &str> = line.split(' ').filter_map(|word| word.split_once('=')).collect();
            if values.get("job") == Some(&job) {
                let mut value = |name| values.remove(name).unwrap().to_owned();
                return Run { url: value("url"), token: value("token"), hook_url: value("hook_url") };
            }
        }
    }

    fn job(&self, id: &str) -> Value {
        self.dev.json(&["job", "get", id, "--json"])
    }

    fn until(&self, id: &str, state: &str) -> Value {
        let give_up = Instant::now() + LIMIT;
        loop {
            let job = self.job(id);
            if job["state"] == state {
                return job;
            }
            assert!(Instant::now() < give_up, "never {state}: {job:#}");
        }
    }

    /// Writes a source; what its webhooks are to be sent to.
    fn source(&self, name: &str, run: &Run, spec: &Value) -> String {
        let put = self.dev.run(&["source", "put", name, "--spec", &spec.to_string()]);
        assert!(put.status.success(), "{}", stderr(&put));
        let path = format!("/v1/sources/{name}");
        let url = run.url.replace("/v1/callbacks", &path);
        assert!(stderr(&put).contains(&format!("its URL is {url}\n")), "{}", stderr(&put));
        // A gateway reads its sources now and then.
        let give_up = Instant::now() + LIMIT;
        while post(&url, &[], "{}").0 != 401 {
            assert!(Instant::now() < give_up, "the gateway does not know {name}");
        }
        url
    }
}

impl Run {
    /// As `curl -X POST "$url/$action" -H "authorization: Bearer $token" -d "$body"`.
    fn call(&self, action: &str, body: &Value) -> (u16, Value) {
        let authorization = format!("authorization: Bearer {}\r\n", self.token);
        post(&format!("{}/{action}", self.url), &[&authorization], &body.to_string())
    }
}

/// The status, and the JSON of the answer. Header lines have their ends.
fn post(url: &str, headers: &[&str], body: &str) -> (u16, Value) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let more = headers.concat();
    let length = body.len();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{more}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Sends it as the library of Standard Webhooks signs it.
fn post_standard(url: &str, secret: &str, id: &str, body: &str) -> (u16, Value) {
    let at = unix_now();
    let signature = Webhook::new(secret).unwrap().sign(id, at, body.as_bytes()).unwrap();
    let (at, id) = (format!("webhook-timestamp: {at}\r\n"), format!("webhook-id: {id}\r\n"));
    post(url, &[&id, &at, &format!("webhook-signature: {signature}\r\n")], body)
}

fn hex_hmac(secret: &str, signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Sends it as <https://docs.github.com/en/webhooks> has it.
fn post_github(url: &str, event: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let signature = format!("x-hub-signature-256: sha256={}\r\n", hex_hmac(GITHUB, &body));
    post(url, &[&signature, &format!("x-github-event: {event}\r\n")], &body)
}

/// Sends it as <https://docs.stripe.com/webhooks> has it.
fn post_stripe(url: &str, secret: &str, body: &Value) -> (u16, Value) {
    let (at, body) = (unix_now(), body.to_string());
    let signature = hex_hmac(secret, &format!("{at}.{body}"));
    post(url, &[&format!("stripe-signature: t={at},v1={signature}\r\n")], &body)
}

/// One `dev` for all of it: each start of a Postgres costs about a second.
#[test]
fn functions_call_back_and_others_call_back_for_them() {
    let folder = tempfile::tempdir().unwrap();
    // What functions may name: a file in a folder of this name.
    let secrets = folder.path().join("webhook-secrets");
    fs::create_dir(&secrets).unwrap();
    let secret = secrets.join("billing");
    fs::write(&secret, BILLING).unwrap();
    let Some(flow) = start(&secret) else {
        eprintln!("no python3: the example in Python was not run");
        return;
    };
    // These two take their time meanwhile.
    let walk = flow.enqueue("walk", &["--args", r#"{"seconds": 5, "heartbeat_timeout_ms": 3000}"#]);
    let lost = flow.enqueue("lose", &["--args", r#"{"timeout_ms": 500}"#, "--max-attempts", "2"]);

    a_token_ends_its_job_once(&flow);
    a_webhook_of_the_library_of_standard_webhooks_ends_a_job(&flow);
    a_webhook_signed_as_github_does_fails_a_job_and_another_ends_it(&flow);
    a_webhook_signed_as_stripe_does_ends_a_job(&flow);
    whoever_has_the_hook_url_calls_and_the_expressions_of_the_job_decide(&flow);
    a_suspended_function_is_woken_twice_and_finishes(&flow);
    heartbeats_keep_a_job_alive_past_its_time_out(&flow, &walk);
    a_lost_job_is_tried_again_and_then_among_the_dead_letters(&flow, &lost);
}

fn start(secret: &Path) -> Option<Flow> {
    let function = Function::start("python_callbacks.py", &[("BILLING_SECRET_FILE", secret.to_str().unwrap())])?;
    let dev = Dev::start();
    let spec = json!({
        "url": function.url, "kinds": ["encode", "order", "walk", "lose"],
        "retry": {"policy": "constant", "base_ms": 200},
    });
    let put = dev.run(&["endpoint", "put", "worker", "--spec", &spec.to_string()]);
    assert!(put.status.success(), "{}", stderr(&put));
    Some(Flow { dev, function })
}

fn a_token_ends_its_job_once(flow: &Flow) {
    let job = flow.enqueue("encode", &[]);
    let run = flow.run(&job);
    flow.until(&job, "waiting");
    let explained = stdout(&flow.dev.run(&["explain", &job]));
    assert!(explained.starts_with("the job waits for a callback since "), "{explained}");
    let hinted = stderr(&flow.dev.run(&["job", "get", &job]));
    assert!(hinted.contains(&format!("`posthaste explain {job}` says what it waits for")), "{hinted}");
    let (status, heard) = run.call("progress", &json!({"percent": 40}));
    assert_eq!((status, &heard["cancel_requested"]), (200, &json!(false)));

    let result = json!({"result": {"frames": 1440}});
    let (status, heard) = run.call("complete", &result);
    assert_eq!((status, &heard["outcome"]), (200, &json!("applied")));
    assert_eq!(heard["job"], json!({"id": job, "state": "completed"}));
    assert_eq!(run.call("complete", &result).1["outcome"], "duplicate");
    let (status, heard) = run.call("fail", &json!({"error": "too late"}));
    assert_eq!((status, &heard["code"]), (409, &json!("already_finalized")));
    let job = flow.job(&job);
    assert_eq!((&job["result"]["frames"], &job["progress"]["percent"]), (&json!(1440), &json!(40)), "{job:#}");
    inspected(flow, &run);
}

/// The keys are found as the database is.
fn inspected(flow: &Flow, run: &Run) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, &run.token).unwrap();
    let inspect = flow.dev.command(&["token", "inspect"]).stdin(fs::File::open(file).unwrap()).output().unwrap();
    let claims: Value = serde_json::from_slice(&inspect.stdout).unwrap();
    assert_eq!(claims["kind"], "callback", "{}", stderr(&inspect));
}

fn a_webhook_of_the_library_of_standard_webhooks_ends_a_job(flow: &Flow) {
    let job = flow.enqueue("encode", &[]);
    let run = flow.run(&job);
    flow.until(&job, "waiting");
    let spec = json!({
        "signature": {"scheme": "standard_webhooks", "secrets": [BILLING]},
        "correlate": "payload.data.job", "cel": {"on_complete": "payload.type == 'encode.done'"},
    });
    let url = flow.source("encoders", &run, &spec);
    let body = json!({"type": "encode.done", "data": {"job": job}}).to_string();
    let (status, heard) = post_standard(&url, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_1", &body);
    assert_eq!((status, &heard["code"]), (401, &json!("invalid_signature")));
    assert_eq!(flow.job(&job)["state"], "waiting");
    assert_eq!(post_standard(&url, BILLING, "msg_2", &body).1["outcome"], "applied");
    let job = flow.until(&job, "completed");
    assert_eq!(job["result"], serde_json::from_str::<Value>(&body).unwrap());
}

fn a_webhook_signed_as_github_does_fails_a_job_and_another_ends_it(flow: &Flow) {
    let job = flow.enqueue("encode", &[]);
    let run = flow.run(&job);
    let spec = json!({
        "signature": {"scheme": "github", "secrets": [GITHUB]},
        "correlate": "has(payload.workflow_run) ? payload.workflow_run.display_title : null",
        "cel": {
            "filter": "headers['x-github-event'] == 'workflow_run' && payload.action == 'completed'",
            "on_fail": "payload.workflow_run.conclusion != 'success'",
            "transform": "{'url': payload.workflow_run.html_url}",
        },
    });
    let url = flow.source("github", &run, &spec);
    let body = |action: &str, conclusion: &str| {
        json!({"action": action, "workflow_run": {
            "display_title": job, "conclusion": conclusion, "html_url": "https://github.example/runs/7"}})
    };
    flow.until(&job, "waiting");
    assert_eq!(post_github(&url, "ping", &json!({"zen": "Keep it logically awesome."})).1["outcome"], "ignored");
    assert_eq!(post_github(&url, "workflow_run", &body("requested", "")).1["outcome"], "ignored");
    assert_eq!(post_github(&url, "workflow_run", &body("completed", "failure")).1["outcome"], "applied");
    flow.run(&job);
    let again = flow.until(&job, "waiting");
    assert_eq!((&again["attempt"], &again["error"]["code"]), (&json!(2), &json!("callback_failed")), "{again:#}");
    assert_eq!(post_github(&url, "workflow_run", &body("completed", "success")).1["outcome"], "applied");
    assert_eq!(flow.until(&job, "completed")["result"], json!({"url": "https://github.example/runs/7"}));
}

fn a_webhook_signed_as_stripe_does_ends_a_job(flow: &Flow) {
    let job = flow.enqueue("encode", &[]);
    let run = flow.run(&job);
    let spec = json!({
        "signature": {"scheme": "stripe", "secrets": [STRIPE]},
        "correlate": "payload.data.object.metadata.job_id",
        "cel": {"on_complete": "payload.type == 'invoice.paid'", "transform": "payload.data.object.id"},
    });
    let url = flow.source("stripe", &run, &spec);
    let body = |event| json!({"type": event, "data": {"object": {"id": "in_1", "metadata": {"job_id": job}}}});
    flow.until(&job, "waiting");
    assert_eq!(post_stripe(&url, "whsec_somebody_else_s", &body("invoice.paid")).0, 401);
    assert_eq!(post_stripe(&url, STRIPE, &body("invoice.sent")).1["outcome"], "ignored");
    assert_eq!(post_stripe(&url, STRIPE, &body("invoice.paid")).1["outcome"], "applied");
    assert_eq!(flow.until(&job, "completed")["result"], "in_1");
}

fn whoever_has_the_hook_url_calls_and_the_expressions_of_the_job_decide(flow: &Flow) {
    let job = flow.enqueue("encode", &["--callback", r#"{"cel": {"on_complete": "payload.ok"}}"#]);
    let run = flow.run(&job);
    flow.until(&job, "waiting");
    assert_eq!(post(&run.hook_url, &[], r#"{"ok": false}"#).1["outcome"], "ignored");
    assert_eq!(post(&run.hook_url, &[], r#"{"ok": true}"#).1["outcome"], "applied");
    assert_eq!(flow.job(&job)["result"], json!({"ok": true}));
    let give_up = Instant::now() + LIMIT;
    let verdicts = ["applied", "ignored"];
    loop {
        let log = flow.dev.json(&["deliveries", "list", "--job", &job, "--json"]);
        let listed: Vec<_> = log["deliveries"].as_array().unwrap().iter().map(|one| &one["verdict"]).collect();
        if listed == verdicts {
            break;
        }
        assert!(Instant::now() < give_up, "{log:#}");
    }
}

fn a_suspended_function_is_woken_twice_and_finishes(flow: &Flow) {
    let job = flow.enqueue("order", &["--args", r#"{"cents": 1250}"#]);
    let first = flow.run(&job);
    flow.until(&job, "waiting");
    let explained = stdout(&flow.dev.run(&["explain", &job]));
    assert!(explained.contains("waits for callback approved"), "{explained}");
    let (status, heard) = first.call("resume", &json!({"payload": {"by": "Ada"}}));
    assert_eq!((status, &heard["job"]["state"]), (200, &json!("available")), "{heard}");

    let second = flow.run(&job);
    flow.until(&job, "waiting");
    assert_ne!(first.token, second.token);
    assert_eq!(first.call("resume", &json!({"payload": {"by": "Bob"}})).0, 409);
    let paid = json!({"type": "charge.paid", "data": {"cents": 1250}}).to_string();
    assert_eq!(post(&second.hook_url, &[], &paid).0, 401, "it is not signed");
    let seen = json!({"type": "charge.seen", "data": {}}).to_string();
    assert_eq!(post_standard(&second.hook_url, BILLING, "msg_3", &seen).1["outcome"], "ignored");
    assert_eq!(post_standard(&second.hook_url, BILLING, "msg_4", &paid).1["outcome"], "applied");

    let job = flow.until(&job, "completed");
    assert_eq!(job["result"], json!({"paid": 1250, "cents": 1250, "by": "Ada"}));
    let runs: Vec<_> =
        job["attempts"].as_array().unwrap().iter().map(|run| (&run["attempt"], &run["outcome"])).collect();
    let (one, woken) = (json!(1), json!("suspended"));
    assert_eq!(runs, [(&one, &json!("completed")), (&one, &woken), (&one, &woken)]);
}

fn heartbeats_keep_a_job_alive_past_its_time_out(flow: &Flow, id: &str) {
    let job = flow.until(id, "completed");
    assert_eq!(job["result"], json!({"walked_s": 5}));
    let runs = job["attempts"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["outcome"]), (1, &json!("completed")), "{job:#}");
}

fn a_lost_job_is_tried_again_and_then_among_the_dead_letters(flow: &Flow, id: &str) {
    let job = flow.until(id, "dead");
    assert_eq!(job["error"]["code"], "callback_timeout");
    let runs: Vec<_> =
        job["attempts"].as_array().unwrap().iter().map(|run| (&run["attempt"], &run["outcome"])).collect();
    assert_eq!(runs, [(&json!(2), &json!("dead")), (&json!(1), &json!("timed_out"))]);
    let url = flow.dev.note()["database_url"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reason: String = runtime.block_on(async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let letter = "select reason from posthaste.dead_letters where id = $1::text::bigint";
        sqlx::query_scalar(letter).bind(id).fetch_one(&mut connection).await.unwrap()
    });
    assert_eq!(reason, "attempts_exhausted");
}
