//! The function on Lambda's own runtime client, `lambda_runtime`, as a process behind an emulator of the Runtime API.

mod emulator;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use posthaste::{Job as _, Secrets, testing::Dispatch};
use posthaste_tests::WAIT_LIMIT;
use serde_json::{Value, json};

use self::emulator::Emulator;
use crate::{
    handlers::{SECRET, Say},
    outcomes::{check_every_outcome, say},
    process::example,
    rig::Rig,
};

/// The function of the tests on Lambda.
async fn start() -> Emulator {
    Emulator::start(|| example("e2e_function")).await
}

#[tokio::test]
async fn on_lambda_everything_that_a_handler_can_say_does_the_same() {
    let mut rig = Rig::start().await;
    let lambda = start().await;
    check_every_outcome(&mut rig, &lambda.url(), "envelope").await;
}

#[tokio::test]
async fn by_invoke_everything_that_a_handler_can_say_does_the_same() {
    let mut rig = Rig::start().await;
    let lambda = start().await;
    check_every_outcome(&mut rig, &lambda.invoke_url(), "lambda").await;
}

#[tokio::test]
async fn an_invoked_lambda_that_crashes_is_tried_again() {
    let mut rig = Rig::start().await;
    let lambda = start().await;
    let fields = json!({"format": "lambda", "retry": {"policy": "constant", "base_ms": 1}});
    rig.endpoint("e", &lambda.invoke_url(), &["say"], &fields).await;
    let id = say(&mut rig, "crash once").await;
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (2, r#""survived""#));
    assert_eq!(job.attempts[1].error.as_ref().unwrap().code, "function_error");
}

#[tokio::test]
async fn a_lambda_that_crashes_is_tried_again_in_a_new_sandbox() {
    let mut rig = Rig::start().await;
    let lambda = start().await;
    rig.endpoint("e", &lambda.url(), &["say"], &json!({"retry": {"policy": "constant", "base_ms": 1}})).await;
    let id = say(&mut rig, "crash once").await;
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (2, r#""survived""#));
    assert_eq!((job.attempts[1].http_status, lambda.sandboxes()), (Some(502), 2));
}

#[tokio::test]
async fn the_readmes_lambda_handles_a_job() {
    let mut rig = Rig::start().await;
    let lambda = Emulator::start(|| {
        let mut function = example("lambda");
        function.env("POSTHASTE_SIGNING_SECRET", SECRET);
        function
    })
    .await;
    rig.endpoint("e", &lambda.url(), &["greet"], &json!({})).await;
    let job = posthaste::NewJob::new("greet", &json!({"name": "Ada"}));
    let id = job.enqueue(&mut rig.connection).await.unwrap();
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!(job.result.unwrap().get(), r#""Hello Ada, attempt 1""#);
}

#[tokio::test]
async fn a_lambda_that_is_invoked_as_an_event_ends_its_run_by_a_callback() {
    let mut rig = Rig::start().await;
    let lambda = start().await;
    let fields = json!({"format": "lambda", "invocation_type": "event"});
    rig.endpoint("e", &lambda.invoke_url(), &["say"], &fields).await;
    let id = say(&mut rig, "by callback").await;
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (1, r#""by callback""#));
}

#[tokio::test]
async fn a_run_has_the_shorter_of_lambdas_time_and_the_dispatchers() {
    let lambda = start().await;
    let job = Say { word: "how long".to_owned() }.job();
    // The emulator gives a minute.
    for (timeout_s, most_ms) in [(600, 60_000), (20, 20_000)] {
        let dispatch = Dispatch::of_job(job.clone().timeout(Duration::from_secs(timeout_s)));
        let answer = lambda.invoke(&event_of(&dispatch.signed(&Secrets::parse([SECRET]).unwrap()))).await.unwrap();
        let result: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let ms = result["ms"].as_u64().unwrap();
        assert!(ms <= most_ms && ms > most_ms / 2, "{ms} ms of {most_ms}");
    }
}

/// A dispatch as the event of a function URL.
fn event_of(request: &Request<Bytes>) -> Value {
    let headers =
        request.headers().iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    emulator::event_of(&headers, std::str::from_utf8(request.body()).unwrap(), false)
}

/// A signed dispatch, as events of the services that invoke functions carry it: what was signed, or as base64.
fn events() -> Vec<(&'static str, Value)> {
    let request = Dispatch::of(&Say { word: "a result".to_owned() }).signed(&Secrets::parse([SECRET]).unwrap());
    let url = event_of(&request);
    let (headers, body) = (url["headers"].as_object().unwrap(), &url["body"]);
    let multi: serde_json::Map<_, _> = headers.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    let mut base64 = url.clone();
    base64["isBase64Encoded"] = json!(true);
    base64["body"] = json!(emulator::base64(request.body()));
    let rest = json!({"resource": "/{proxy+}", "path": "/f", "httpMethod": "POST", "headers": headers,
        "multiValueHeaders": multi, "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "pathParameters": null, "stageVariables": null, "isBase64Encoded": false, "body": body,
        "requestContext": {"accountId": "1", "resourceId": "r", "stage": "prod", "requestId": "i", "resourcePath": "/",
            "httpMethod": "POST", "apiId": "a", "protocol": "HTTP/1.1", "path": "/f", "identity": {}}});
    let alb = json!({"requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}}, "httpMethod": "POST",
        "path": "/f", "queryStringParameters": {}, "headers": headers, "body": body, "isBase64Encoded": false});
    vec![("function URL, Invoke", url), ("in base64", base64), ("REST API", rest), ("load balancer", alb)]
}

#[tokio::test]
async fn every_kind_of_event_is_verified_byte_for_byte_and_answered_in_its_own_way() {
    let lambda = start().await;
    for (kind, event) in events() {
        let answer = lambda.invoke(&event).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(answer["statusCode"], 200, "{kind}: {answer}");
        let result: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(result["attempt"], 1, "{kind}");
        let headers = format!("{}{}", answer["headers"], answer["multiValueHeaders"]);
        assert!(headers.contains("posthaste-protocol"), "{kind}: {answer}");
        let mut forged = event.clone();
        forged["body"] = json!("{}");
        forged["isBase64Encoded"] = json!(false);
        assert_eq!(lambda.invoke(&forged).await.unwrap()["statusCode"], 401, "{kind}");
    }
}
