//! Endpoints with TLS of their own: a private authority, and a certificate that says who sends.

use posthaste_engine::session::Role;
use posthaste_tests::{TestDb, sql};
use serde_json::json;

use crate::{
    fleet::{Running, put_endpoint, until, until_state},
    secure::{Authority, SecureFunction, replace},
};

#[tokio::test]
async fn a_function_that_asks_for_a_certificate_takes_ours_and_no_other() {
    let (authority, stranger, db) = (Authority::new(), Authority::new(), TestDb::new().await);
    let function = SecureFunction::start(&authority, "localhost", Some(&authority)).await;
    let mut connection = db.connect(Role::General).await;
    let url = format!("https://localhost:{}/f", function.address.port());
    let (ours, theirs) = (authority.trusted_as(&authority), stranger.trusted_as(&stranger));
    let foreign = json!({"certificate": theirs["certificate"], "key": theirs["key"], "ca": ours["ca"]});
    put_endpoint(&mut connection, "ours", &url, &["ours"], json!({"tls": ours})).await;
    put_endpoint(&mut connection, "none", &url, &["none"], json!({"tls": {"ca": ours["ca"]}})).await;
    put_endpoint(&mut connection, "foreign", &url, &["foreign"], json!({"tls": foreign})).await;
    put_endpoint(&mut connection, "public", &url, &["public"], json!({})).await;
    let dispatcher = Running::start(&db, 8);
    for kind in ["none", "foreign", "public"] {
        let job = sql::enqueue(&mut connection, &format!("'{kind}'")).await;
        until_state(&mut connection, job, "scheduled").await;
    }
    assert_eq!(function.served(), 0);
    let code = "select a.class || ':' || a.error_code from posthaste.attempt a join posthaste.jobs j on j.id = a.job_id where j.kind = 'public' limit 1";
    assert_eq!(sql::text(&mut connection, code).await, "not_sent:tls", "nobody else trusts this authority");
    let job = sql::enqueue(&mut connection, "'ours'").await;
    until_state(&mut connection, job, "completed").await;
    assert_eq!(function.served(), 1);
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_reported() {
    let (authority, db) = (Authority::new(), TestDb::new().await);
    let function = SecureFunction::start(&authority, "localhost", Some(&authority)).await;
    let mut connection = db.connect(Role::General).await;
    let url = format!("https://localhost:{}/f", function.address.port());
    let tls = authority.trusted_as(&authority);
    let (certificate, key) = authority.certify("dispatcher");
    replace(&tls, "certificate", &certificate);
    put_endpoint(&mut connection, "e", &url, &["k"], json!({"tls": tls})).await;
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k', max_attempts => 1").await;
    // The certificate is new, and the key is not yet.
    until(&mut connection, "select state::text like '%tls.key: %' from posthaste.dispatcher").await;
    assert_eq!(sql::state(&mut connection, job).await, "available");
    replace(&tls, "key", &key);
    put_endpoint(&mut connection, "e", &url, &["k"], json!({"tls": tls, "timeout_ms": 29_000})).await;
    until_state(&mut connection, job, "completed").await;
    let job = sql::enqueue(&mut connection, "'k'").await;
    until_state(&mut connection, job, "completed").await;
    assert_eq!(function.served(), 2);
    dispatcher.stop().await;
}
