//! The REST client against the real API.

use std::time::Duration;

use posthaste::{
    Job as _, NewJob, State,
    callback::{Callback, CallbackGrant},
    client::{CallError, Client, JobFilter},
};
use posthaste_tests::{Answer, FakeEndpoint, WAIT_LIMIT, sql};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::{handlers::Say, outcomes::serve, rig::Rig};

#[tokio::test]
async fn a_job_is_enqueued_waited_for_and_read_back() {
    let mut rig = Rig::start().await;
    let url = serve().await;
    rig.endpoint("e", &url, &["say"], &json!({})).await;
    let enqueued = rig.client.enqueue(&Say { word: "a result".to_owned() }.job().tag("x")).await.unwrap();
    assert_eq!(enqueued.state, State::Available);
    let job = rig.client.wait(enqueued.id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.state, job.tags, job.attempts.len()), (State::Completed, vec!["x".to_owned()], 1));
    assert_eq!(rig.client.job(enqueued.id).await.unwrap().state, State::Completed);
}

#[tokio::test]
async fn a_wait_that_runs_out_is_an_error_that_has_the_job_as_it_is() {
    let rig = Rig::start().await;
    let id = rig.client.enqueue(&NewJob::new("nobody", &1)).await.unwrap().id;
    let error = rig.client.wait(id, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("job {id} is still available after 50ms"));
    let CallError::NotEnded { job, waited } = error else { panic!("{error}") };
    assert_eq!((job.id, job.state, waited), (id, State::Available, Duration::from_millis(50)));
    let explained = rig.client.explain(id).await.unwrap();
    assert_eq!((&*explained.reason, explained.id), ("no_endpoint_for_kind", id));
}

#[tokio::test]
async fn the_same_key_is_the_same_job_and_another_job_is_refused() {
    let mut rig = Rig::start().await;
    let first = rig.client.enqueue_once(&NewJob::new("k", &1), "order-7").await.unwrap();
    let again = rig.client.enqueue_once(&NewJob::new("k", &1), "order-7").await.unwrap();
    assert_eq!(first, again);
    let error = rig.client.enqueue_once(&NewJob::new("k", &2), "order-7").await.unwrap_err();
    assert_eq!(error.code(), Some("idempotency_mismatch"));
    assert_eq!(sql::count(&mut rig.connection, "job").await, 1);
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let rig = Rig::start().await;
    for n in 0..5 {
        rig.client.enqueue(&NewJob::new("k", &n).tag(if n == 2 { "two" } else { "other" })).await.unwrap();
    }
    let mut pages = rig.client.list(JobFilter { page_size: Some(2), ..JobFilter::default() });
    let mut found = Vec::new();
    while let Some(jobs) = pages.next().await.unwrap() {
        assert!(jobs.len() <= 2);
        found.extend(jobs.iter().map(|job| job.args.get().to_owned()));
    }
    assert_eq!(found, ["4", "3", "2", "1", "0"]);
    let filter = JobFilter {
        tag: Some("two".to_owned()),
        state: Some(State::Available),
        kind: Some("k".to_owned()),
        ..JobFilter::default()
    };
    assert_eq!(rig.client.list(filter).next().await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_is_cancelled_once() {
    let rig = Rig::start().await;
    let id = rig.client.enqueue(&NewJob::new("nobody", &1)).await.unwrap().id;
    let cancelled = rig.client.cancel(id, Some("not wanted")).await.unwrap();
    assert_eq!((cancelled.state, cancelled.cancel_requested), (State::Cancelled, false));
    let missing = rig.client.cancel_now(posthaste::JobId(9_999_999), None).await.unwrap_err();
    assert_eq!(missing.code(), Some("job_not_found"));
}

#[tokio::test]
async fn a_refused_job_names_its_fields() {
    let rig = Rig::start().await;
    let error = rig.client.enqueue(&NewJob::new("no spaces", &1).priority(9)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("invalid: kind: may hold only ") && text.contains("; priority: must be from 1"), "{text}");
    let CallError::Problem(problem) = error else { panic!("{error}") };
    assert_eq!(problem.errors.iter().map(|error| &*error.field).collect::<Vec<_>>(), ["kind", "priority"]);
}

#[tokio::test]
async fn of_a_batch_the_sound_jobs_are_enqueued_and_the_others_tell_their_problem() {
    let mut rig = Rig::start().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let jobs = [
        NewJob::new("k", &1).traceparent(traceparent),
        NewJob::new("no spaces", &2).priority(9),
        NewJob::new("k", &3).tag("last"),
    ];
    let outcomes = rig.client.enqueue_many(jobs).await.unwrap();
    let [Ok(first), Err(refused), Ok(last)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((&*refused.code, refused.status, refused.errors.len()), ("invalid", 422, 2));
    assert_eq!(rig.client.job(first.id).await.unwrap().args.get(), "1");
    assert_eq!(rig.client.job(last.id).await.unwrap().tags, ["last"]);
    assert_eq!(sql::count(&mut rig.connection, "job").await, 2);
    let traced = format!("select bool_and(trace = '{traceparent}')::text from posthaste.job");
    assert_eq!(sql::text(&mut rig.connection, &traced).await, "true");
}

#[tokio::test]
async fn an_ended_job_runs_again_and_one_that_is_available_is_in_conflict() {
    let rig = Rig::start().await;
    let id = rig.client.enqueue(&NewJob::new("nobody", &1)).await.unwrap().id;
    assert_eq!(rig.client.retry(id).await.unwrap_err().code(), Some("conflict"));
    rig.client.cancel(id, None).await.unwrap();
    assert_eq!(rig.client.retry(id).await.unwrap().state, State::Available);
    assert_eq!(rig.client.job(id).await.unwrap().state, State::Available);
}

#[tokio::test]
async fn what_must_not_be_done_twice_is_asked_for_once() {
    let api = FakeEndpoint::start().await;
    api.on("/v1/jobs/batch", [Answer::cut()]);
    api.on("/v1/jobs/1/retry", [Answer::cut()]);
    let client = Client::new(&api.url("")).unwrap();
    let lost = client.enqueue_many([NewJob::new("k", &1)]).await.unwrap_err();
    assert!(matches!(lost, CallError::Unreachable { .. }), "{lost}");
    assert!(matches!(client.retry(posthaste::JobId(1)).await, Err(CallError::Unreachable { .. })));
    assert_eq!(api.seen().len(), 2);
}

#[tokio::test]
async fn a_call_is_repeated_with_the_same_key_while_the_server_is_busy_or_gone() {
    let api = FakeEndpoint::start().await;
    let busy = Answer::status(503).header("retry-after", "0.01").header("content-type", "application/problem+json");
    let made = Answer::json(&json!({"id": "42", "state": "available"}));
    api.on("/v1/jobs", [Answer::cut(), busy, made]);
    let client = Client::with_key(&api.url(""), "a key of at least thirty-two characters").unwrap();
    assert_eq!(client.enqueue(&NewJob::new("k", &1)).await.unwrap().id.0, 42);
    let requests = api.requests(3).await;
    let keys: Vec<_> = requests.iter().map(|request| request.header("idempotency-key").to_owned()).collect();
    assert!(keys[0].len() == 36 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(requests[0].header("authorization"), "Bearer a key of at least thirty-two characters");
}

#[tokio::test]
async fn repeating_is_bounded_and_a_refusal_is_not_repeated() {
    let api = FakeEndpoint::start().await;
    let problem = json!({"status": 429, "code": "rate_limited", "detail": "slowly"}).to_string();
    api.on("/v1/jobs/1", [Answer::status(429).body(problem)]);
    api.on("/v1/jobs/2", [Answer::status(404).body("<html>")]);
    let client = Client::new(&api.url("")).unwrap();
    let error = client.job(posthaste::JobId(1)).await.unwrap_err();
    assert_eq!(error.code(), Some("rate_limited"));
    assert_eq!(api.seen().len(), 5);
    let error = client.job(posthaste::JobId(2)).await.unwrap_err();
    assert!(matches!(error, CallError::Answer { status: 404 }), "{error}");
    assert_eq!(api.seen().len(), 6);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named_with_the_cause_and_nothing_secret() {
    // Free when asked, and not listened to.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let client = Client::with_key(&format!("http://user:ph_word@127.0.0.1:{port}/?ph_query"), "ph_key").unwrap();
    let error = client.retry(posthaste::JobId(1)).await.unwrap_err();
    let refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("nobody answered at 127.0.0.1:{port}: {refused}"));
    for printed in [format!("{error:?}"), format!("{:?}", posthaste::Error::new(error))] {
        assert!(!printed.contains("ph_") && !printed.contains("/v1"), "{printed}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_names_who_was_asked() {
    let api = FakeEndpoint::start().await;
    api.on("/v1/jobs/1", [Answer::cut_mid_body("{")]);
    let error = Client::new(&api.url("")).unwrap().job(posthaste::JobId(1)).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("nobody answered at {}: ", api.address())), "{error}");
}

#[tokio::test]
async fn a_call_that_cannot_be_made_says_why() {
    let grant = CallbackGrant::new("nonsense", "ph1.token");
    let error = Callback::new(&grant).unwrap().heartbeat(None).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed(_)), "{error}");
    assert_eq!(error.to_string(), "the call cannot be made: relative URL without a base");
}

#[test]
fn no_key_is_printed_and_a_bad_url_is_refused() {
    let client = Client::with_key("https://ph.example.com/base/", "ph_secret").unwrap();
    assert!(!format!("{client:?}").contains("ph_secret"));
    assert!(Client::new("ftp://example.com").is_err() && Client::new("nonsense").is_err());
}
