//! Named sources: signed, and led to their job by an expression.

use posthaste_engine::{
    inbox, judging,
    source::{Secrets, put},
};
use posthaste_protocol::source::SourceSpec;
use posthaste_tests::sql;

use crate::{
    client::{Answer, exchange, post},
    rig::{Rig, seal_keys, until},
    signed::{SECRET, github, slack, stripe},
};

impl Rig {
    /// Writes a source whose secret is sealed, and waits until the gateway knows it.
    pub async fn source(&mut self, name: &str, scheme: &str, rest: &str) {
        let json = format!(r#"{{"signature": {{"scheme": "{scheme}", "secrets": ["{SECRET}"]}}, {rest}}}"#);
        let spec = SourceSpec::parse(&json).unwrap();
        let sealed = spec.seal(&seal_keys(), name, [1; 24]).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        put(&mut self.connection, name, &text, Secrets::Replace(sealed.as_deref())).await.unwrap();
        self.settle().await;
    }

    pub async fn send(&self, source: &str, headers: &[String], body: &str) -> Answer {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        exchange(self.gateway.address, &post(&format!("/v1/sources/{source}"), &headers, body.as_bytes())).await
    }
}

#[tokio::test]
async fn a_signed_webhook_finds_the_wait_of_its_job() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job", "cel": {"on_complete": "payload.done"}"#).await;
    rig.source("stripe", "stripe", r#""correlate": "payload.data.metadata.job""#).await;
    let (one, two) = (rig.park().await, rig.park().await);

    let body = format!(r#"{{"job": "{}", "done": true}}"#, one.job_id);
    let answer = rig.send("gh", &[github(body.as_bytes())], &body).await;
    assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "completed"));
    assert_eq!(rig.state(&one).await, "completed");
    let body = format!(r#"{{"data": {{"metadata": {{"job": {}}}}}}}"#, two.job_id);
    let answer = rig.send("stripe", &[stripe(body.as_bytes())], &body).await;
    assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "completed"));
    let log = "select coalesce(string_agg(source || ' ' || verdict, ', ' order by delivery_id), '')
        from posthaste.delivery where verdict <> 'rejected'";
    until("both are logged", async || sql::text(&mut rig.connection, log).await == "gh applied, stripe applied").await;
}

#[tokio::test]
async fn without_its_signature_nothing_has_an_effect() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job""#).await;
    let run = rig.park().await;
    let body = format!(r#"{{"job": {}}}"#, run.job_id);
    for headers in [vec![], vec![github(b"{}")], vec![stripe(body.as_bytes())]] {
        let answer = rig.send("gh", &headers, &body).await;
        assert_eq!((answer.status, answer.word()), (401, "invalid_signature"), "{headers:?}");
    }
    // The body of this one never comes.
    let begun = post("/v1/sources/gh", &["content-length: 1000000"], b"");
    let headless = exchange(rig.gateway.address, &begun).await;
    assert_eq!((headless.status, headless.word()), (401, "invalid_signature"));
    let unknown = rig.send("nobody", &[github(body.as_bytes())], &body).await;
    assert_eq!((unknown.status, unknown.word()), (404, "source_not_found"));
    let log = "select coalesce(string_agg(reason, ' ' order by reason), '') from posthaste.delivery
        where source = 'gh' and verdict = 'rejected'";
    let missing = "invalid_signature: missing_header";
    let all = [missing, missing, missing, "invalid_signature: no_match"].join(" ");
    until("they are logged, with the reason", async || sql::text(&mut rig.connection, log).await == all).await;
    assert_eq!(rig.state(&run).await, "waiting");
}

#[tokio::test]
async fn what_a_source_sends_whose_secret_cannot_be_read_is_to_be_sent_again_and_the_log_says_why() {
    let mut rig = Rig::start().await;
    let spec = r#"{"signature": {"scheme": "github", "secrets": [{"file": "/no/such/file"}]}, "correlate": "null"}"#;
    put(&mut rig.connection, "gh", spec, Secrets::Replace(None)).await.unwrap();
    rig.settle().await;

    let answer = rig.send("gh", &[github(b"{}")], "{}").await;

    assert_eq!((answer.status, answer.word(), answer.header("retry-after")), (503, "unverifiable", Some("1")));
    assert!(!answer.body.to_string().contains("/no/such"), "{answer:?}");
    let log = "delivery where source = 'gh' and verdict = 'rejected'
        and reason like 'unverifiable: the gateway cannot read a secret: %/no/such/file%'";
    until("it is logged", async || sql::count(&mut rig.connection, log).await == 1).await;

    rig.source("gh", "github", r#""correlate": "null""#).await;
    let again = rig.send("gh", &[github(b"{}")], "{}").await;
    assert_eq!((again.status, again.word()), (200, "ignored"));
}

#[tokio::test]
async fn what_a_source_sends_and_is_refused_is_logged_some_times_a_minute() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job""#).await;
    let large = "x".repeat(2 << 20);
    for (headers, body, status) in
        [(vec!["content-encoding: gzip".to_owned()], "{}", 415), (vec![github(large.as_bytes())], &large, 413)]
    {
        assert_eq!(rig.send("gh", &headers, body).await.status, status);
    }
    for _ in 0..200 {
        rig.send("gh", &[], "{}").await;
    }
    let reasons = "select coalesce(string_agg(distinct reason, ' ' order by reason), '') from posthaste.delivery
        where source = 'gh'";
    let all = "invalid_signature: missing_header payload_too_large unsupported_media_type";
    until("they are logged", async || sql::text(&mut rig.connection, reasons).await == all).await;
    assert!(sql::count(&mut rig.connection, "delivery where source = 'gh'").await < 20);
}

#[tokio::test]
async fn what_is_for_no_job_or_for_one_that_waits_for_nothing_is_ignored() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "has(payload.job) ? payload.job : null""#).await;
    let run = rig.park().await;
    rig.call(&run, "complete", "{}").await;
    for body in ["{}".to_owned(), format!(r#"{{"job": {}}}"#, run.job_id), r#"{"job": 4711}"#.to_owned()] {
        let answer = rig.send("gh", &[github(body.as_bytes())], &body).await;
        assert_eq!((answer.status, answer.word()), (200, "ignored"), "{body}");
    }
}

#[tokio::test]
async fn what_no_correlation_could_place_is_kept_until_it_can() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.order.job""#).await;
    let run = rig.park().await;
    let placed = format!(r#"{{"job": {}}}"#, run.job_id);
    for body in [placed.as_str(), r#"{"order": {"job": [1]}}"#] {
        let answer = rig.send("gh", &[github(body.as_bytes())], body).await;
        assert_eq!((answer.status, answer.word()), (202, "quarantined"), "{body}");
    }
    let kept = inbox::list(&mut rig.connection, None, None, 10).await.unwrap();
    assert!(kept.iter().all(|one| one.quarantine.error.starts_with("correlate: ")), "{kept:?}");

    rig.source("gh", "github", r#""correlate": "payload.job""#).await;
    for one in kept {
        assert!(judging::ask(&mut rig.connection, one.id).await.unwrap());
    }

    until("it is judged", async || rig.state(&run).await == "completed").await;
    until("the other stays", async || {
        sql::count(&mut rig.connection, "inbox where judge_at is null and verified").await == 1
    })
    .await;
}

#[tokio::test]
async fn slack_s_challenge_is_given_back_to_slack_alone() {
    let mut rig = Rig::start().await;
    rig.source("slack", "slack", r#""correlate": "null""#).await;
    let body = r#"{"type": "url_verification", "challenge": "abc123"}"#;
    let unsigned = rig.send("slack", &[], body).await;
    assert_eq!(unsigned.status, 401);
    let headers = slack(body.as_bytes());
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let request = post("/v1/sources/slack", &headers, body.as_bytes());
    let mut stream = tokio::net::TcpStream::connect(rig.gateway.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.ends_with("\r\n\r\nabc123"), "{text}");
    assert!(text.contains("text/plain"), "{text}");
}
