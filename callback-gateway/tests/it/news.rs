//! Endpoints that the gateway has not read yet, or cannot read.

use posthaste_tests::{TestDb, sql};

use crate::rig::{Rig, Served, put_endpoint, until};

#[tokio::test]
async fn the_expressions_of_an_endpoint_that_nobody_announced_decide() {
    let db = TestDb::new().await;
    // It hears of no change, and looks every five seconds.
    let gateway = Served::listening(&db.url_as("gateway"), "postgres://nobody@127.0.0.1:1/nothing").await;
    let mut rig = Rig::with(db, gateway).await;
    let known = rig.park().await;
    until("the gateway has read the configuration", async || rig.hook(&known, &[], "").await.status != 503).await;
    let mut late = async |sends: usize| {
        sql::enqueue(&mut rig.connection, "'late'").await;
        let run = rig.dispatcher.claim_one().await;
        rig.dispatcher.park(&run).await;
        if sends == 0 {
            // So that its lane is known, and its endpoint is not.
            rig.call(&run, "heartbeat", "{}").await;
            put_endpoint(&mut rig.connection, "late", "late", r#"{"filter": "payload == 1"}"#).await;
        }
        (rig.hook(&run, &[], "2").await, rig.call(&run, "complete", r#"{"result": 2}"#).await)
    };

    for n in 0..2 {
        let (hook, callback) = late(n).await;
        assert_eq!((hook.word(), callback.word()), ("ignored", "ignored"), "{n}");
    }
}

#[tokio::test]
async fn while_an_endpoint_cannot_be_read_nothing_of_its_jobs_is_completed_unjudged() {
    let mut rig = Rig::start().await;
    put_endpoint(&mut rig.connection, "rest", "*", "null").await;
    sql::run(&mut rig.connection, "update posthaste.endpoint set spec = '[\"newer\"]' where name = 'e'").await;
    rig.settle().await;
    let run = rig.park().await;
    for answer in [rig.call(&run, "complete", r#"{"result": 1}"#).await, rig.hook(&run, &[], "2").await] {
        assert_eq!((answer.status, answer.word()), (202, "quarantined"));
    }
    sql::enqueue(&mut rig.connection, "'other'").await;
    let other = rig.dispatcher.claim_one().await;
    rig.dispatcher.park(&other).await;
    assert_eq!(rig.call(&other, "complete", "{}").await.state(), "completed", "it is of an endpoint that can be read");
}
