//! Callbacks: what each end writes, and what every other caller is told.

use std::time::Duration;

use posthaste_engine::{
    callback::{CallbackEnd, EndTerms, LaneTerms, Told, Winner, finish},
    claim::{ClaimedRun, Lease},
    finalize::Settled,
    floor::Scan,
    held::RunRef,
    lifecycle::{Outcome, RunError},
    park::{Parked, park},
    promote::promote,
    retry::RetryPolicy,
    session::Role,
};
use posthaste_protocol::{action::Action, job::State};
use posthaste_tests::{
    FakeDispatcher, RETRY, TestDb, failed,
    sql::{assert_each_job_is_in_one_place, attempts, cancel, count, enqueue, run, state, text},
};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::suspend::{TWO_OF_THREE, suspend_one};

/// The last attempt of the one job, but for its times.
const ATTEMPT: &str =
    "select concat_ws(' ', run_lease, outcome, class, ended_by, action, octet_length(digest), attempt,
    http_status, error_code, started_at < finished_at) from posthaste.attempt order by run_lease desc limit 1";

async fn setup() -> (TestDb, PgConnection, FakeDispatcher) {
    let db = TestDb::new().await;
    let connection = db.connect(Role::Settle).await;
    let dispatcher = FakeDispatcher::start(&db).await;
    (db, connection, dispatcher)
}

pub fn callback(claimed: &ClaimedRun, action: Action, digest: u8) -> CallbackEnd {
    let outcome = match action {
        Action::Complete => Outcome::Completed { result: Some(r#"{"n": 1}"#.to_owned()) },
        Action::Cancel => Outcome::Cancelled { reason: Some("no longer needed".to_owned()) },
        Action::Snooze => Outcome::Snoozed { after: Duration::from_secs(5) },
        _ => failed("callback"),
    };
    let run = RunRef { lease: claimed.lease, job_id: claimed.job_id, run_lease: claimed.run_lease };
    CallbackEnd { run, outcome, action, digest: [digest; 16], judged: action != Action::Complete }
}

pub fn policy(_scan: Scan) -> RetryPolicy {
    RETRY
}

#[expect(clippy::unnecessary_wraps, reason = "finish asks for one")]
pub fn terms(scan: Scan) -> Option<EndTerms> {
    Some(EndTerms { retry: policy(scan), has_cel: false })
}

/// Every lane of a test's database has them.
pub static TERMS: LaneTerms<'static> = LaneTerms { of: &terms, plain: &[1, 2, 3, 4, 5, 6, 7, 8] };

async fn one(connection: &mut PgConnection, callback: CallbackEnd) -> Told {
    let mut told = finish(connection, &[callback], TERMS, 0.0).await.unwrap();
    assert_eq!(told.len(), 1);
    told.remove(0)
}

#[tokio::test]
async fn a_callback_ends_a_parked_run_and_its_wait() {
    for (action, state, recorded) in [
        (Action::Complete, State::Completed, "1 completed responded callback complete 16 1 202 t"),
        (Action::Fail, State::Scheduled, "1 retried responded callback fail 16 1 202 callback t"),
        (Action::Snooze, State::Scheduled, "1 snoozed responded callback snooze 16 1 202 t"),
        (Action::Cancel, State::Cancelled, "1 cancelled responded callback cancel 16 1 202 cancelled t"),
    ] {
        let (_db, mut connection, mut dispatcher) = setup().await;
        enqueue(&mut connection, "'k'").await;
        let claimed = dispatcher.claim_one().await;
        dispatcher.park(&claimed).await;

        assert_eq!(one(&mut connection, callback(&claimed, action, 1)).await, Told::Applied { state });

        assert_eq!(text(&mut connection, ATTEMPT).await, recorded);
        assert_eq!(count(&mut connection, "waiting").await, 0);
        assert_each_job_is_in_one_place(&mut connection).await;
    }
}

#[tokio::test]
async fn a_callback_before_the_202_was_seen_wins_and_the_park_is_nothing() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;

    let told = one(&mut connection, callback(&claimed, Action::Complete, 1)).await;
    let accepted = FakeDispatcher::accepted(&claimed);
    let parked = park(&mut connection, &[accepted], &[claimed.lease.lease_id]).await.unwrap();

    assert_eq!(told, Told::Applied { state: State::Completed });
    assert_eq!(parked, [Parked::Ended]);
    assert_eq!((count(&mut connection, "waiting").await, count(&mut connection, "lease").await), (0, 0));
    assert_eq!(state(&mut connection, id).await, "completed");
    assert_eq!(text(&mut connection, ATTEMPT).await, "1 completed responded callback complete 16 1 t");
}

#[tokio::test]
async fn the_same_callback_again_is_told_the_recorded_answer_for_as_long_as_it_is_known() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    let fail = callback(&claimed, Action::Fail, 1);
    assert_eq!(one(&mut connection, fail.clone()).await, Told::Applied { state: State::Scheduled });
    let due = sqlx::query_scalar("select now() + interval '1 day'").fetch_one(&mut connection).await.unwrap();
    promote(&mut connection, 1, Some(due)).await.unwrap();
    dispatcher.claim_one().await;

    // The job runs again, and still the recorded answer is told.
    assert_eq!(one(&mut connection, fail).await, Told::Duplicate { state: State::Scheduled });
    // Another body is another callback, and a newer run holds the job.
    let other = one(&mut connection, callback(&claimed, Action::Fail, 2)).await;
    assert_eq!(other, Told::LeaseSuperseded { state: State::Running });
}

#[tokio::test]
async fn whoever_comes_second_is_told_who_won() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    let batch = [
        callback(&claimed, Action::Complete, 1),
        callback(&claimed, Action::Complete, 1),
        callback(&claimed, Action::Fail, 2),
    ];

    let told = finish(&mut connection, &batch, TERMS, 0.0).await.unwrap();

    let winner = Winner {
        outcome: "completed".to_owned(),
        ended_by: "callback".to_owned(),
        action: Some("complete".to_owned()),
    };
    let state = State::Completed;
    let expected =
        [Told::Applied { state }, Told::Duplicate { state }, Told::AlreadyFinalized { state, winner: Some(winner) }];
    assert_eq!(told, expected);
    assert_eq!(attempts(&mut connection, claimed.job_id).await, ["1:completed"]);
}

#[tokio::test]
async fn a_completion_that_expressions_are_to_judge_is_left_alone_until_they_were() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    for (callback_of_job, of_endpoint) in
        [(r#"{"cel": {"filter": "payload.done"}}"#, false), (r#"{"cel": null}"#, true)]
    {
        enqueue(&mut connection, &format!("'k', callback => '{callback_of_job}'")).await;
        let claimed = dispatcher.claim_one().await;
        let mut batch: Vec<_> = (1..=6).map(|digest| callback(&claimed, Action::Complete, digest)).collect();
        let of = |scan| terms(scan).map(|terms| EndTerms { has_cel: of_endpoint, ..terms });
        let judge = LaneTerms { of: &of, plain: if of_endpoint { &[] } else { TERMS.plain } };

        let told = finish(&mut connection, &batch, judge, 0.0).await.unwrap();
        assert_eq!(told, vec![Told::Unjudged; 6]);
        batch[4].judged = true;
        let told = finish(&mut connection, &batch, judge, 0.0).await.unwrap();
        assert_eq!(told[4], Told::Applied { state: State::Completed });
        assert_eq!(told[..4], vec![Told::Unjudged; 4]);
    }
}

#[tokio::test]
async fn a_completion_leaves_the_same_ledger_whether_or_not_its_run_was_looked_up_first() {
    let looked_up = LaneTerms { plain: &[], ..TERMS };
    for (held, asks) in [
        ("lease", false),
        ("lease", true),
        ("park", false),
        ("park", true),
        ("suspension", false),
        ("suspension", true),
    ] {
        let mut ledgers = Vec::new();
        for terms in [TERMS, looked_up] {
            let (_db, mut connection, mut dispatcher) = setup().await;
            let id = enqueue(&mut connection, "'k'").await;
            let first = dispatcher.claim_one().await;
            dispatcher.finish(&first, failed("http_500")).await;
            let due = sqlx::query_scalar("select now() + interval '1 day'").fetch_one(&mut connection).await.unwrap();
            promote(&mut connection, 1, Some(due)).await.unwrap();
            let claimed = dispatcher.claim_one().await;
            match held {
                "park" => drop(dispatcher.park(&claimed).await),
                "suspension" => drop(suspend_one(&mut connection, &claimed, TWO_OF_THREE).await),
                _ => {}
            }
            if asks && held != "suspension" {
                cancel(&mut connection, id, false).await;
            } else if asks {
                // A suspended job is cancelled at once; a request that came just before it suspended stays.
                run(
                    &mut connection,
                    &format!("insert into posthaste.cancel_request (job_id, reason) values ({id}, 'x')"),
                )
                .await;
            }
            let mut completion = callback(&claimed, Action::Complete, 7);
            completion.outcome = Outcome::Completed { result: Some(r#"{"pages": 3}"#.to_owned()) };
            let told = finish(&mut connection, &[completion], terms, 0.0).await.unwrap();
            assert_eq!(told, [Told::Applied { state: State::Completed }]);
            ledgers.push(ledger(&mut connection).await);
        }
        assert_eq!(ledgers[0], ledgers[1], "{held} {asks}");
        let kept = |row: &String| !row.starts_with("attempt: ") && !row.starts_with("lease: ");
        assert!(!ledgers[0].iter().any(kept), "{held} {asks}: {ledgers:?}");
        assert!(ledgers[0].iter().any(|row| row.contains("pages") && row.contains(r#""attempt": 2"#)), "{ledgers:?}");
    }
}

#[tokio::test]
async fn of_a_batch_of_completions_the_winners_are_told_of_and_a_loser_keeps_its_request_to_cancel() {
    let (db, mut connection, mut dispatcher) = setup().await;
    let mut claimed = Vec::new();
    for _ in 0..4 {
        enqueue(&mut connection, "'k'").await;
        claimed.push(dispatcher.claim_one().await);
    }
    dispatcher.finish(&claimed[0], failed("first")).await;
    dispatcher.park(&claimed[1]).await;
    suspend_one(&mut connection, &claimed[2], TWO_OF_THREE).await;
    for job in &claimed {
        let request = format!("insert into posthaste.cancel_request (job_id) values ({})", job.job_id);
        run(&mut connection, &request).await;
    }
    let mut listener = sqlx::postgres::PgListener::connect(db.url()).await.unwrap();
    listener.listen("posthaste_done").await.unwrap();
    let mut waiter = db.connect(Role::General).await;
    run(&mut waiter, "begin; select pg_advisory_xact_lock(28776, 2)").await;
    let batch: Vec<CallbackEnd> = claimed.iter().map(|run| callback(run, Action::Complete, 7)).collect();

    let told = finish(&mut connection, &batch, TERMS, 0.0).await.unwrap();

    let applied = Told::Applied { state: State::Completed };
    assert!(told[1..].iter().all(|told| *told == applied) && told[0] != applied, "{told:?}");
    let left = text(&mut connection, "select string_agg(job_id::text, ' ') from posthaste.cancel_request").await;
    assert_eq!(left, claimed[0].job_id.to_string());
    assert_eq!((count(&mut connection, "waiting").await, count(&mut connection, "wait").await), (0, 0));
    let heard = tokio::time::timeout(posthaste_tests::WAIT_LIMIT, listener.recv()).await.unwrap().unwrap();
    let winners: Vec<String> = claimed[1..].iter().map(|run| run.job_id.to_string()).collect();
    assert_eq!(heard.payload(), winners.join(","));
}

/// Every row that an end may touch, without what differs from one moment and one database to the next.
async fn ledger(connection: &mut PgConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["attempt", "waiting", "wait", "cancel_request", "lease", "ready", "scheduled", "dead_letter"] {
        let text = format!(
            "select (to_jsonb(t) - '{{nonce,started_at,finished_at,expires_at,claimed_at,run_at,requested_at}}'::text[])::text
             from posthaste.{table} t order by 1"
        );
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(&mut *connection).await.unwrap();
        rows.extend(found.into_iter().map(|row| format!("{table}: {row}")));
    }
    rows
}

#[tokio::test]
async fn whoever_does_not_know_the_lane_of_a_run_ends_it_not() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    let batch = [callback(&claimed, Action::Complete, 1), callback(&claimed, Action::Fail, 2)];
    let told = finish(&mut connection, &batch, LaneTerms { of: &|_| None, plain: &[] }, 0.0).await.unwrap();
    assert_eq!(told, [Told::LaneUnknown, Told::LaneUnknown]);
    assert_eq!(
        finish(&mut connection, &batch, TERMS, 0.0).await.unwrap()[0],
        Told::Applied { state: State::Completed }
    );
}

#[tokio::test]
async fn a_token_of_another_lease_or_of_a_lost_claim_ends_nothing() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    let mut forged = callback(&claimed, Action::Complete, 1);
    forged.run.lease = Lease { nonce: Uuid::nil(), ..claimed.lease };

    // As after a failover that lost the claim, and a new one with the same numbers.
    let told = one(&mut connection, forged.clone()).await;
    assert_eq!(told, Told::LeaseSuperseded { state: State::Running });
    dispatcher.park(&claimed).await;
    assert_eq!(one(&mut connection, forged).await, Told::LeaseSuperseded { state: State::Waiting });
    assert_eq!(state(&mut connection, id).await, "waiting");
}

#[tokio::test]
async fn a_stale_token_in_the_same_batch_keeps_no_good_one_back() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    let mut stale = callback(&claimed, Action::Complete, 1);
    stale.run.lease = Lease { nonce: Uuid::nil(), ..claimed.lease };

    let told = finish(&mut connection, &[stale, callback(&claimed, Action::Complete, 2)], TERMS, 0.0).await.unwrap();

    assert_eq!(told[1], Told::Applied { state: State::Completed });
    assert!(!matches!(told[0], Told::Applied { .. }), "{told:?}");
}

#[tokio::test]
async fn a_callback_of_a_job_past_its_retention_is_told_so() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    run(&mut connection, "delete from posthaste.job").await;
    assert_eq!(one(&mut connection, callback(&claimed, Action::Complete, 1)).await, Told::PastRetention);
}

#[tokio::test]
async fn a_callback_that_would_go_again_ends_a_job_that_somebody_asked_to_cancel() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    assert_eq!(cancel(&mut connection, id, false).await, "waiting");

    let told = one(&mut connection, callback(&claimed, Action::Fail, 1)).await;

    assert_eq!(told, Told::Applied { state: State::Cancelled });
    assert_eq!(count(&mut connection, "cancel_request").await, 0);
    let again = one(&mut connection, callback(&claimed, Action::Fail, 1)).await;
    assert_eq!(again, Told::Duplicate { state: State::Cancelled });
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_failure_that_is_the_last_is_dead_with_its_letter() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k', max_attempts => 1").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    let told = one(&mut connection, callback(&claimed, Action::Fail, 1)).await;
    assert_eq!(told, Told::Applied { state: State::Dead });
    assert_eq!(text(&mut connection, "select reason from posthaste.dead_letter").await, "attempts_exhausted");
    assert_eq!(state(&mut connection, id).await, "dead");
}

#[tokio::test]
async fn a_dispatcher_that_answers_for_a_parked_run_ends_it() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    // Its lease is gone: a rescue, or a batch of parks, took it away.
    dispatcher.park(&claimed).await;
    let gave_up = Outcome::GaveUp { error: RunError::new("http_400", "") };
    assert_eq!(dispatcher.settle(&[FakeDispatcher::end(&claimed, gave_up)]).await, [Settled::Applied]);
    assert_eq!(state(&mut connection, id).await, "dead");
    assert_eq!(count(&mut connection, "waiting").await, 0);
}
