//! OAuth 2.0 client credentials: a token is had once, used until shortly before its end, and had again.

use std::collections::BTreeSet;

use posthaste_engine::session::Role;
use posthaste_tests::{Answer, FakeEndpoint, TestDb, sql};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::fleet::{Running, put_endpoint, scene, until, until_state};

fn auth(server: &FakeEndpoint, secret: &Value) -> Value {
    json!({"auth": {"type": "oauth2", "token_url": server.url("/token"), "client_id": "acme:1", "client_secret": secret,
        "scope": "jobs.run jobs.read", "audience": "https://f.example"}})
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_clients_credentials_and_sent_as_a_bearer() {
    let (db, function, mut connection) = scene(json!({})).await;
    let server = FakeEndpoint::start().await;
    server.otherwise(Answer::json(&json!({"access_token": "t1", "token_type": "Bearer", "expires_in": 3600})));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cret?\n").unwrap();
    let more = auth(&server, &json!({"file": file}));
    put_endpoint(&mut connection, "e", &function.url("/f"), &["k"], more).await;
    let dispatcher = Running::start(&db, 8);
    for _ in 0..2 {
        let job = sql::enqueue(&mut connection, "kind => 'k'").await;
        until_state(&mut connection, job, "completed").await;
    }
    for request in function.requests(2).await {
        assert_eq!(request.header("authorization"), "Bearer t1");
    }
    let asked = server.seen();
    assert_eq!(asked.len(), 1);
    // base64 of `acme%3A1:s3cret%3F`
    assert_eq!(asked[0].header("authorization"), "Basic YWNtZSUzQTE6czNjcmV0JTNG");
    let form: Vec<(String, String)> = form_urlencoded::parse(&asked[0].body).into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        form,
        [
            pair("grant_type", "client_credentials"),
            pair("scope", "jobs.run jobs.read"),
            pair("audience", "https://f.example")
        ]
    );
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_used_as_soon_as_its_token_server_gives_one() {
    let (db, function, mut connection) = scene(json!({})).await;
    let server = FakeEndpoint::start().await;
    let refused = Answer::status(401).body(r#"{"error":"invalid_client","error_description":"unknown client"}"#);
    server.on("/token", [refused, Answer::json(&json!({"access_token": "t1", "expires_in": 3600}))]);
    let more = auth(&server, &json!({"env": "HOME"}));
    put_endpoint(&mut connection, "e", &function.url("/f"), &["k"], more).await;
    let job = sql::enqueue(&mut connection, "kind => 'k', max_attempts => 1").await;
    let dispatcher = Running::start(&db, 8);
    until_state(&mut connection, job, "completed").await;
    let attempts = "select string_agg(outcome::text, ',') from posthaste.attempt";
    assert_eq!(sql::text(&mut connection, attempts).await, "completed");
    assert_eq!(server.seen().len(), 2);
    dispatcher.stop().await;
}

#[tokio::test]
async fn without_a_token_no_other_endpoint_gets_the_jobs_not_even_the_one_for_every_kind() {
    let (db, function, mut connection) = scene(json!({})).await;
    let server = FakeEndpoint::start().await;
    server.otherwise(Answer::status(401).body(r#"{"error":"invalid_client"}"#));
    put_endpoint(&mut connection, "e", &function.url("/own"), &["k"], auth(&server, &json!({"env": "HOME"}))).await;
    put_endpoint(&mut connection, "rest", &function.url("/rest"), &["*"], json!({})).await;
    let job = sql::enqueue(&mut connection, "kind => 'k', max_attempts => 1").await;
    let dispatcher = Running::start(&db, 8);
    let left_out =
        "select state::text like '%no credentials: the token server answered 401%' from posthaste.dispatcher";
    until(&mut connection, left_out).await;
    let other = sql::enqueue(&mut connection, "kind => 'whatever'").await;
    until_state(&mut connection, other, "completed").await;
    assert_eq!(sql::state(&mut connection, job).await, "available");

    server.otherwise(Answer::json(&json!({"access_token": "t1", "expires_in": 3600})));
    until_state(&mut connection, job, "completed").await;
    let paths: Vec<String> = function.seen().iter().map(|request| request.uri.path().to_owned()).collect();
    assert_eq!(paths, ["/rest", "/own"]);
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:completed"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn why_there_is_no_token_is_reported_without_the_secret() {
    let db = TestDb::new().await;
    let (mut connection, server) = (db.connect(Role::General).await, FakeEndpoint::start().await);
    server.otherwise(Answer::status(400).body(r#"{"error":"invalid_scope"}"#));
    let unset = json!({"env": "NO_SUCH_VARIABLE_ANYWHERE"});
    put_endpoint(&mut connection, "unset", &server.url("/f"), &["a"], auth(&server, &unset)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "[default]\naws_secret_access_key = s3cret\n").unwrap();
    let lines = auth(&server, &json!({"file": file}));
    put_endpoint(&mut connection, "lines", &server.url("/f"), &["d"], lines).await;
    let bearer = json!({"auth": {"type": "bearer", "token": {"file": file}}});
    put_endpoint(&mut connection, "bearer", &server.url("/f"), &["e"], bearer).await;
    put_endpoint(&mut connection, "refused", &server.url("/f"), &["b"], auth(&server, &json!({"env": "HOME"}))).await;
    let private = json!({"auth": {"type": "oauth2", "token_url": "https://169.254.169.254/token", "client_id": "a",
        "client_secret": {"env": "HOME"}}});
    put_endpoint(&mut connection, "private", &server.url("/f"), &["c"], private).await;
    let dispatcher = Running::start(&db, 8);
    for why in [
        "auth.client_secret: environment variable NO_SUCH_VARIABLE_ANYWHERE is not set for this process",
        "the token server answered 400: invalid_scope",
        "the token server: egress_forbidden: the address is not public: link-local",
    ] {
        until(&mut connection, &format!("select state::text like '%no credentials: {why}%' from posthaste.dispatcher"))
            .await;
    }
    for why in ["no credentials: auth.client_secret", "auth"] {
        let why = format!("{why}: secret file %/credentials has a control character");
        until(&mut connection, &format!("select state::text like '%\"{why}%' from posthaste.dispatcher")).await;
    }
    let senders: BTreeSet<String> =
        server.seen().iter().map(|request| request.header("authorization").to_owned()).collect();
    assert_eq!(senders.len(), 1, "the file of credentials was sent");
    assert!(server.seen().iter().all(|request| request.uri.path() == "/token"), "no private address was asked");
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_run_that_meets_the_end_of_its_token_is_given_back_and_uses_no_attempt() {
    let (db, function, mut connection) = scene(json!({})).await;
    let server = FakeEndpoint::start().await;
    let token = |name: &str, life: u64| Answer::json(&json!({"access_token": name, "expires_in": life}));
    server.otherwise(token("t1", 2));
    let more = auth(&server, &json!({"env": "HOME"}));
    put_endpoint(&mut connection, "e", &function.url("/f"), &["k"], more).await;
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k', max_attempts => 1").await;
    until_state(&mut connection, job, "completed").await;
    server.otherwise(Answer::status(503));
    let left_out =
        "select state::text like '%no credentials: the token server answered 503%' from posthaste.dispatcher";
    // Each is sent with the old token, or meets its end.
    let meeting = async {
        while sql::text(&mut connection, &format!("select ({left_out})::text")).await != "true" {
            sql::enqueue(&mut connection, "kind => 'k', max_attempts => 1").await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(posthaste_tests::WAIT_LIMIT, meeting).await.expect("the token ends");
    let waiting = sql::number(&mut connection, "select count(*) from posthaste.jobs where state = 'available'").await;
    assert!(waiting > 0 && sql::count(&mut connection, "dead_letter").await == 0, "{waiting} wait");

    server.otherwise(token("t2", 3600));
    until(&mut connection, "select count(*) = 0 from posthaste.jobs where state <> 'completed'").await;
    let told = "select string_agg(distinct outcome::text, ',') from posthaste.attempt where outcome <> 'released'";
    assert_eq!(sql::text(&mut connection, told).await, "completed");
    assert_eq!(function.seen().last().unwrap().header("authorization"), "Bearer t2");
    dispatcher.stop().await;
}
