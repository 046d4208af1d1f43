//! AWS: every signature is recomputed by botocore; roles are assumed at a fake STS.

use chrono::{DateTime, SecondsFormat};
use posthaste_engine::session::Role;
use posthaste_service::clock;
use posthaste_tests::{Answer, FakeEndpoint, TestDb, sql};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    fleet::{put_endpoint, until, until_state},
    lambda::INVOKE,
    process::Process,
    verifier::Verifier,
};

const OWN: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDOWN"), ("AWS_SECRET_ACCESS_KEY", "own-secret/+")];
const ROLE: &str = "arn:aws:iam::123456789012:role/invoke";

fn auth(more: &Value) -> Value {
    let mut auth = json!({"type": "aws_sigv4", "region": "eu-west-1"});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    auth
}

/// What STS answers for a role, with this key and life.
fn assumed(key: &str, life_s: i64) -> Answer {
    let end =
        DateTime::from_timestamp(clock::unix_now() + life_s, 0).unwrap().to_rfc3339_opts(SecondsFormat::Secs, true);
    Answer::status(200).header("content-type", "text/xml").body(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>A:posthaste</AssumedRoleId><Arn>{ROLE}</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{key}-secret</SecretAccessKey><SessionToken>{key}-token==</SessionToken>\
         <Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ))
}

struct Scene {
    db: TestDb,
    function: FakeEndpoint,
    sts: FakeEndpoint,
    connection: PgConnection,
}

async fn scene() -> Scene {
    let (db, function, sts) = (TestDb::new().await, FakeEndpoint::start().await, FakeEndpoint::start().await);
    let connection = db.connect(Role::General).await;
    Scene { db, function, sts, connection }
}

impl Scene {
    fn start(&self) -> Process {
        let sts = self.sts.url("");
        let mut variables = vec![("AWS_ENDPOINT_URL_STS", sts.as_str())];
        variables.extend(OWN);
        Process::start(&self.db, &variables)
    }

    async fn put(&mut self, name: &str, path: &str, more: Value) {
        let url = self.function.url(path);
        put_endpoint(&mut self.connection, name, &url, &[name], more).await;
    }

    async fn complete(&mut self, kind: &str) {
        let job = sql::enqueue(&mut self.connection, &format!("'{kind}'")).await;
        until_state(&mut self.connection, job, "completed").await;
    }
}

#[tokio::test]
async fn botocore_computes_the_signature_that_each_request_has() {
    let mut scene = scene().await;
    let awkward = "/a%20b/%2F/x:y/é?q=a%20b&e=&Qualifier=live%2Bx";
    scene.put("url", awkward, json!({"auth": auth(&json!({})), "headers": {"x-team": "blue"}})).await;
    scene.put("raw", "/raw", json!({"format": "raw", "auth": auth(&json!({"service": "execute-api"}))})).await;
    scene.put("invoke", INVOKE, json!({"format": "lambda", "auth": auth(&json!({}))})).await;
    let _dispatcher = scene.start();
    let verifier = Verifier::start();
    for (n, kind, service) in [(1, "url", "lambda"), (2, "raw", "execute-api"), (3, "invoke", "lambda")] {
        scene.complete(kind).await;
        let request = scene.function.requests(n).await.remove(n - 1);
        let checked = verifier.sigv4(&request, &scene.function.url(""), OWN[1].1, None);
        let expected = json!({"same": true, "scheme": "AWS4-HMAC-SHA256", "today": true, "host_covered": true,
            "uncovered": [], "scope": ["AKIDOWN", "eu-west-1", service, "aws4_request"]});
        assert_eq!(checked, expected, "{kind}");
        let other = verifier.sigv4(&request, &scene.function.url(""), "another secret", None);
        assert_eq!(other["same"], json!(false), "the verifier can tell");
    }
    assert!(scene.sts.seen().is_empty(), "nobody needs a role");
}

#[tokio::test]
async fn a_role_is_assumed_once_for_all_its_endpoints_with_its_external_id() {
    let mut scene = scene().await;
    scene.sts.otherwise(assumed("AKIDROLE", 3600));
    let role = || json!({"auth": auth(&json!({"role_arn": ROLE, "external_id": "acme-7"}))});
    scene.put("a", "/a", role()).await;
    scene.put("b", "/b", role()).await;
    let _dispatcher = scene.start();
    let verifier = Verifier::start();
    scene.complete("a").await;
    scene.complete("b").await;
    for request in scene.function.requests(2).await {
        assert_eq!(request.header("x-amz-security-token"), "AKIDROLE-token==");
        let checked = verifier.sigv4(&request, &scene.function.url(""), "AKIDROLE-secret", Some("AKIDROLE-token=="));
        assert_eq!((&checked["same"], &checked["uncovered"]), (&json!(true), &json!([])), "{checked}");
    }
    let asked = scene.sts.seen();
    assert_eq!(asked.len(), 1, "one role, one session");
    let form = String::from_utf8(asked[0].body.to_vec()).unwrap();
    assert!(form.contains("Action=AssumeRole") && form.contains("ExternalId=acme-7"), "{form}");
    assert!(form.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Finvoke"), "{form}");
    assert_eq!(verifier.sigv4(&asked[0], &scene.sts.url(""), OWN[1].1, None)["same"], json!(true));
}

#[tokio::test]
async fn a_session_is_renewed_before_its_end_while_the_old_one_still_serves() {
    let mut scene = scene().await;
    scene.sts.on("/", [assumed("AKID1", 8), assumed("AKID2", 3600)]);
    scene.put("a", "/a", json!({"auth": auth(&json!({"role_arn": ROLE}))})).await;
    let _dispatcher = scene.start();
    scene.complete("a").await;
    let renewed = async {
        loop {
            scene.complete("a").await;
            if scene.function.seen().last().unwrap().header("x-amz-security-token") == "AKID2-token==" {
                break;
            }
        }
    };
    tokio::time::timeout(posthaste_tests::WAIT_LIMIT, renewed).await.expect("the new session is used");
    assert_eq!(scene.function.seen()[0].header("x-amz-security-token"), "AKID1-token==");
    assert_eq!(
        sql::number(&mut scene.connection, "select count(*) from posthaste.attempt where outcome <> 'completed'").await,
        0
    );
}

#[tokio::test]
async fn a_session_that_nothing_can_be_signed_with_leaves_the_endpoint_out_and_ends_no_job() {
    let mut scene = scene().await;
    scene.sts.otherwise(assumed("A&#10;B", 3600));
    scene.put("a", "/a", json!({"auth": auth(&json!({"role_arn": ROLE}))})).await;
    let job = sql::enqueue(&mut scene.connection, "kind => 'a', max_attempts => 1").await;
    let _dispatcher = scene.start();
    let reported =
        "select state::text like '%no credentials: AWS: the session token has characters%' from posthaste.dispatcher";
    until(&mut scene.connection, reported).await;
    assert_eq!(sql::state(&mut scene.connection, job).await, "available");
}

#[tokio::test]
async fn without_credentials_an_endpoint_is_left_out_and_its_jobs_keep_their_attempts() {
    let mut scene = scene().await;
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                  <Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
    scene.sts.otherwise(Answer::status(403).header("content-type", "text/xml").body(denied));
    scene.put("a", "/a", json!({"auth": auth(&json!({"role_arn": ROLE}))})).await;
    scene.put("b", "/b", json!({"auth": auth(&json!({}))})).await;
    let job = sql::enqueue(&mut scene.connection, "kind => 'a', max_attempts => 1").await;
    let _dispatcher = scene.start();
    scene.complete("b").await;
    let reported = "select state::text like '%no credentials: AWS: %not authorized to perform: sts:AssumeRole%' from posthaste.dispatcher";
    until(&mut scene.connection, reported).await;
    assert_eq!(sql::state(&mut scene.connection, job).await, "available");
    assert_eq!(
        sql::number(&mut scene.connection, &format!("select count(*) from posthaste.attempt where job_id = {job}"))
            .await,
        0
    );

    scene.sts.otherwise(assumed("AKIDLATE", 3600));
    until_state(&mut scene.connection, job, "completed").await;
    let attempts = format!("select string_agg(outcome::text, ',') from posthaste.attempt where job_id = {job}");
    assert_eq!(sql::text(&mut scene.connection, &attempts).await, "completed");
}
