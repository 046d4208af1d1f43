//! Many callers at once, and callers that do not wait for their answer.

use std::time::Duration;

use futures_util::future::join_all;
use posthaste_engine::session::Role;
use posthaste_tests::sql;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::rig::{Rig, bearing, until};

#[tokio::test]
async fn of_many_callers_one_ends_the_run_and_the_others_are_told_the_truth() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    let callers = (0..64).map(|n| {
        let action = ["complete", "fail", "cancel", "snooze"][n % 4];
        rig.gateway.call(&token, action, "{}")
    });

    let answers = join_all(callers).await;

    let state = rig.state(&run).await;
    let count = |word: &str| answers.iter().filter(|answer| answer.word() == word).count();
    assert_eq!((count("applied"), count("duplicate"), count("already_finalized")), (1, 15, 48));
    assert!(answers.iter().all(|answer| answer.state() == state), "{state}");
    assert_eq!(sql::attempts(&mut rig.connection, run.job_id).await.len(), 1);
    sql::assert_each_job_is_in_one_place(&mut rig.connection).await;
}

#[tokio::test]
async fn callbacks_that_come_together_share_their_commits() {
    let mut rig = Rig::start().await;
    for _ in 0..200 {
        sql::enqueue(&mut rig.connection, "'k'").await;
    }
    let runs = rig.dispatcher.claim_any(200).await;
    let tokens: Vec<String> = runs.iter().map(|run| rig.gateway.token(run)).collect();

    let answers = join_all(tokens.iter().map(|token| rig.gateway.call(token, "complete", "{}"))).await;

    assert!(answers.iter().all(|answer| (answer.status, answer.state()) == (200, "completed")));
    let metrics = rig.gateway.registry.render();
    let batches = metrics.lines().find_map(|line| line.strip_prefix("posthaste_gateway_batch_callbacks_count "));
    let batches: u32 = batches.unwrap().parse().unwrap();
    assert!(batches < 100, "{batches} batches for 200 callbacks");
}

#[tokio::test]
async fn a_flood_of_heartbeats_for_one_run_is_answered_by_a_few_of_them() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);

    let answers = join_all((0..400).map(|_| rig.gateway.call(&token, "heartbeat", "{}"))).await;

    assert!(answers.iter().all(|answer| answer.word() == "applied" && answer.body["deadline"].is_string()));
    let metrics = rig.gateway.registry.render();
    let batches = metrics.lines().find_map(|line| line.strip_prefix("posthaste_gateway_batch_callbacks_count "));
    let batches: u32 = batches.unwrap().parse().unwrap();
    assert!(batches < 200, "{batches} batches for 400 heartbeats");
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_heard_all_the_same() {
    let mut rig = Rig::start().await;
    let mut blocker = rig.db.connect(Role::General).await;
    let waits =
        "select count(*) from pg_locks where not granted and relation::regclass::text like 'posthaste.attempt%'";
    // A lock on the ledger holds the commit up until the caller has gone; the gateway waits for it for 100 ms only, which on a
    // busy machine may be too short.
    for _ in 0..10 {
        let run = rig.park().await;
        sql::run(&mut blocker, "begin; lock table posthaste.attempt in share mode").await;
        let mut stream = TcpStream::connect(rig.gateway.address).await.unwrap();
        let request = bearing(&rig.gateway.token(&run), "complete", &[], b"{}");
        stream.write_all(&request).await.unwrap();
        until("the commit waits", async || sql::number(&mut rig.connection, waits).await > 0).await;
        drop(stream);
        sql::run(&mut blocker, "commit").await;
        until("nobody waits", async || sql::number(&mut rig.connection, waits).await == 0).await;
        for _ in 0..100 {
            if rig.state(&run).await == "completed" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    panic!("what a caller said who hung up was never committed");
}

#[tokio::test]
async fn a_ledger_that_stays_locked_is_503_and_nothing_is_lost() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let mut blocker = rig.db.connect(Role::General).await;
    sql::run(&mut blocker, "begin; lock table posthaste.attempt in share mode").await;
    let answer = rig.call(&run, "complete", "{}").await;
    assert_eq!((answer.status, answer.word(), answer.header("retry-after")), (503, "overloaded", Some("1")));
    sql::run(&mut blocker, "commit").await;
    let answer = rig.call(&run, "complete", "{}").await;
    assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "completed"));
}
