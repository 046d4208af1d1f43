//! Against the library of Standard Webhooks, which is not ours.

use posthaste::{Secrets, testing::Dispatch};
use posthaste_tests::{FakeEndpoint, Request, WAIT_LIMIT};
use serde_json::json;
use standardwebhooks::Webhook;

use crate::{
    handlers::{SECRET, Say, app},
    outcomes::say,
    rig::Rig,
};

#[test]
fn the_library_of_the_standard_verifies_what_the_testing_kit_signs() {
    let request = Dispatch::of(&Say { word: "é \"quoted\"".to_owned() }).signed(&Secrets::parse([SECRET]).unwrap());
    let library = Webhook::new(SECRET).unwrap();
    library.verify(request.body(), request.headers()).unwrap();
    assert!(library.verify(b"{}", request.headers()).is_err());
}

#[tokio::test]
async fn an_app_takes_what_the_library_of_the_standard_signs() {
    let request = Dispatch::of(&Say { word: "a result".to_owned() }).signed(&Secrets::parse([SECRET]).unwrap());
    let at: i64 = request.headers()["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    for (id, status) in [("msg_1", 200), ("msg_2", 401)] {
        let mut request = request.clone();
        let signature = Webhook::new(SECRET).unwrap().sign("msg_1", at, request.body()).unwrap();
        request.headers_mut().insert("webhook-id", id.parse().unwrap());
        request.headers_mut().insert("webhook-signature", signature.parse().unwrap());
        assert_eq!(app().handle(request).await.status(), status, "{id}");
    }
}

#[tokio::test]
async fn the_library_of_the_standard_verifies_a_dispatch_with_either_secret_after_a_rotation() {
    const NEW: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let mut rig = Rig::start().await;
    let function = FakeEndpoint::start().await;
    rig.endpoint("e", &function.url("/"), &["say"], &json!({"sdk": false})).await;
    rig.rotate("e", NEW).await;
    // The dispatcher hears of the rotation in its own time: jobs before that have the signature of the old secret alone.
    let rotated = tokio::time::timeout(WAIT_LIMIT, first_of_two_signatures(&mut rig, &function));
    let sent = rotated.await.expect("a dispatch with two signatures");
    for secret in [NEW, SECRET] {
        let library = Webhook::new(secret).unwrap();
        library.verify(&sent.body, &sent.headers).unwrap();
        assert!(library.verify(b"{}", &sent.headers).is_err());
    }
    let stranger = Webhook::new("whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB").unwrap();
    assert!(stranger.verify(&sent.body, &sent.headers).is_err());
}

async fn first_of_two_signatures(rig: &mut Rig, function: &FakeEndpoint) -> Request {
    for number in 1.. {
        say(rig, "é \"quoted\"").await;
        let sent = function.requests(number).await.remove(number - 1);
        if sent.header("webhook-signature").split(' ').count() == 2 {
            return sent;
        }
    }
    unreachable!("the range has no end")
}
