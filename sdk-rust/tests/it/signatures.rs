//! Against the library of Standard Webhooks, which is not ours.

use posthaste::{Secrets, testing::Dispatch};
use standardwebhooks::Webhook;

use crate::handlers::{SECRET, Say, app};

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
