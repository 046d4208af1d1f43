//! Google: Google's own library believes each ID token, whichever source it came from.

use posthaste_dispatcher::GoogleHosts;
use posthaste_engine::session::Role;
use posthaste_tests::{Answer, FakeEndpoint, Request, TestDb, sql};
use serde_json::{Value, json};
use sqlx::PgConnection;
use url::{Url, form_urlencoded};

use crate::{
    fleet::{Running, put_endpoint, settings, until, until_state},
    verifier::Verifier,
};

const IDENTITY: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";
const OWN_TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const ACCOUNT: &str = "invoker@project.iam.gserviceaccount.com";

struct Scene {
    db: TestDb,
    function: FakeEndpoint,
    google: FakeEndpoint,
    verifier: Verifier,
    connection: PgConnection,
}

async fn scene() -> Scene {
    let (db, function, google) = (TestDb::new().await, FakeEndpoint::start().await, FakeEndpoint::start().await);
    let (connection, verifier) = (db.connect(Role::General).await, Verifier::start());
    google.on("/certs", [Answer::json(&verifier.ask("certs", json!({})))]);
    Scene { db, function, google, verifier, connection }
}

impl Scene {
    fn start(&self) -> Running {
        let mut settings = settings(self.db.url_as("dispatcher"), 8, None);
        let iam_credentials = Url::parse(&self.google.url("")).expect("a URL");
        settings.google = GoogleHosts { metadata: self.google.address().to_string(), iam_credentials };
        Running::start_as(settings)
    }

    /// A token of Google for this audience.
    fn token(&self, audience: &str, life: i64) -> String {
        self.verifier.ask("id_token", json!({"audience": audience, "life": life})).as_str().expect("a token").to_owned()
    }

    async fn put(&mut self, name: &str, more: Value) {
        let url = self.function.url("/f");
        put_endpoint(&mut self.connection, name, &url, &[name], more).await;
    }

    /// Runs a job of this kind, and returns what its function was sent.
    async fn run(&mut self, kind: &str) -> Request {
        let before = self.function.seen().len();
        let job = sql::enqueue(&mut self.connection, &format!("'{kind}'")).await;
        until_state(&mut self.connection, job, "completed").await;
        self.function.requests(before + 1).await.remove(before)
    }

    /// What Google's library reads in the token of a header.
    fn verified(&self, request: &Request, header: &str, audience: &str) -> Result<Value, String> {
        let token = request.header(header).strip_prefix("Bearer ").expect("a bearer token");
        let question = json!({"token": token, "audience": audience, "certs_url": self.google.url("/certs")});
        // It fetches the certificates from us: this thread must go on.
        tokio::task::block_in_place(|| self.verifier.try_ask("verify_id_token", question))
    }

    /// The fields of the form that was posted to `path`.
    fn form(&self, path: &str) -> Vec<(String, String)> {
        let request = self.google.seen().into_iter().find(|request| request.uri.path() == path).expect("a form");
        form_urlencoded::parse(&request.body).into_owned().collect()
    }

    fn asked(&self, path: &str) -> usize {
        self.google.seen().iter().filter(|request| request.uri.path() == path).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metadata_servers_token_is_for_the_urls_origin_and_asked_for_once() {
    let mut scene = scene().await;
    let origin = scene.function.url("");
    scene.google.on(IDENTITY, [Answer::status(200).body(scene.token(&origin, 3600))]);
    scene.put("a", json!({"auth": {"type": "google_id_token"}})).await;
    scene.put("b", json!({"auth": {"type": "google_id_token"}})).await;
    let dispatcher = scene.start();
    for kind in ["a", "b", "a"] {
        let request = scene.run(kind).await;
        let claims = scene.verified(&request, "authorization", &origin).expect("Google believes it");
        assert_eq!(claims["aud"], json!(origin));
        assert!(scene.verified(&request, "authorization", "https://other.example").is_err());
    }
    let asked = scene.google.seen().into_iter().find(|request| request.uri.path() == IDENTITY).unwrap();
    assert_eq!((asked.method.as_str(), asked.header("metadata-flavor")), ("GET", "Google"));
    let audience: String = form_urlencoded::byte_serialize(origin.as_bytes()).collect();
    assert_eq!(asked.uri.query(), Some(format!("audience={audience}&format=full").as_str()));
    assert_eq!(scene.asked(IDENTITY), 1);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_accounts_key_signs_for_a_token_and_leaves_authorization_to_the_endpoint() {
    let mut scene = scene().await;
    let audience = "https://f.example.run.app";
    let token_uri = scene.google.url("/token");
    let key = scene.verifier.ask("service_account", json!({"token_uri": token_uri}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, key.to_string()).unwrap();
    let token = scene.token(audience, 3600);
    scene.google.on("/token", [Answer::json(&json!({"id_token": token}))]);
    let auth = json!({"type": "google_id_token", "audience": audience, "key": {"file": file}});
    scene.put("a", json!({"auth": auth, "headers": {"authorization": {"env": "HOME"}}})).await;
    let dispatcher = scene.start();

    let request = scene.run("a").await;
    scene.verified(&request, "x-serverless-authorization", audience).expect("Google believes it");
    assert!(!request.header("authorization").starts_with("Bearer "), "the endpoint's own");
    let form = scene.form("/token");
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let claims = scene.verifier.ask("verify_assertion", json!({"assertion": form[1].1, "audience": token_uri}));
    assert_eq!((&claims["iss"], &claims["target_audience"]), (&json!(ACCOUNT), &json!(audience)));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_spoken_for_with_the_metadata_servers_own_token() {
    let mut scene = scene().await;
    let (audience, account) = ("https://f.example.run.app", "other@project.iam.gserviceaccount.com");
    scene.google.on(OWN_TOKEN, [Answer::json(&json!({"access_token": "own", "expires_in": 3600}))]);
    let path = format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken");
    scene.google.on(&path, [Answer::json(&json!({"token": scene.token(audience, 3600)}))]);
    let header = "x-serverless-authorization";
    let auth = json!({"type": "google_id_token", "audience": audience, "impersonate": account, "header": header});
    scene.put("a", json!({"auth": auth})).await;
    let dispatcher = scene.start();
    let request = scene.run("a").await;
    scene.verified(&request, header, audience).expect("Google believes it");
    let asked = scene.google.seen().into_iter().find(|request| request.uri.path() == path).unwrap();
    assert_eq!(asked.header("authorization"), "Bearer own");
    assert_eq!(asked.json(), json!({"audience": audience, "includeEmail": true}));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_renewed_early_and_a_failed_renewal_takes_nothing_away() {
    let mut scene = scene().await;
    let origin = scene.function.url("");
    let (short, long) = (scene.token(&origin, 8), scene.token(&origin, 3600));
    scene.google.on(
        IDENTITY,
        [Answer::status(200).body(short.clone()), Answer::status(503), Answer::status(200).body(long.clone())],
    );
    scene.put("a", json!({"auth": {"type": "google_id_token"}})).await;
    let dispatcher = scene.start();
    let mut sent = Vec::new();
    let renewed = async {
        while sent.last() != Some(&format!("Bearer {long}")) {
            sent.push(scene.run("a").await.header("authorization").to_owned());
        }
    };
    tokio::time::timeout(posthaste_tests::WAIT_LIMIT, renewed).await.expect("the new token is used");
    assert_eq!(sent[0], format!("Bearer {short}"));
    assert_eq!(scene.asked(IDENTITY), 3);
    let failed = "select count(*) from posthaste.attempt where outcome <> 'completed'";
    assert_eq!(sql::number(&mut scene.connection, failed).await, 0);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_jobs_wait_and_keep_their_attempts() {
    let mut scene = scene().await;
    scene.google.on(IDENTITY, [Answer::status(404).body("no account")]);
    scene.put("a", json!({"auth": {"type": "google_id_token"}})).await;
    let job = sql::enqueue(&mut scene.connection, "kind => 'a', max_attempts => 1").await;
    let dispatcher = scene.start();
    let reported =
        "select state::text like '%no credentials: the metadata server answered 404%' from posthaste.dispatcher";
    until(&mut scene.connection, reported).await;
    assert_eq!(sql::state(&mut scene.connection, job).await, "available");
    assert_eq!(sql::count(&mut scene.connection, "attempt").await, 0);
    dispatcher.stop().await;
}
