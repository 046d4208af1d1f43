//! The inbox: signals that come before their wait, and deliveries in quarantine.

use posthaste_engine::{
    inbox::{self, MAX_EARLY, Quarantine, Swept},
    lifecycle::Outcome,
    range::drop_range,
    resume::{Signal, Signalled, resume},
    suspend::Suspended,
    sweep::{Retention, forget},
};
use posthaste_protocol::job::State;
use posthaste_tests::{
    failed,
    sql::{attempts, cancel, count, enqueue, run},
};

use crate::suspend::{ONE, TWO_OF_THREE, after, reference, send, setup, signal, suspend_one};

#[tokio::test]
async fn a_signal_that_comes_before_its_wait_is_kept_and_wakes_when_the_wait_appears() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    for _ in 0..2 {
        assert_eq!(send(&mut connection, signal(&claimed, None, r#"{"early" : 1}"#, 1)).await, Signalled::Buffered);
    }
    assert_eq!(count(&mut connection, "inbox").await, 1, "the same signal again is the same row");

    assert_eq!(suspend_one(&mut connection, &claimed, ONE).await, Suspended::Waits);

    assert_eq!(attempts(&mut connection, claimed.job_id).await, ["1:suspended"]);
    assert_eq!(dispatcher.claim_one().await.resume.clone().unwrap().payload.as_deref(), Some(r#"{"early" : 1}"#));
    assert_eq!(count(&mut connection, "inbox").await, 0);
    let again = send(&mut connection, signal(&claimed, None, r#"{"early" : 1}"#, 1)).await;
    assert_eq!(again, Signalled::Duplicate { state: State::Available });
}

#[tokio::test]
async fn early_signals_meet_the_waits_that_they_name_and_the_others_stay() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    for (wait, digest) in [(Some("c"), 1), (Some("another"), 2)] {
        assert_eq!(send(&mut connection, signal(&claimed, wait, "1", digest)).await, Signalled::Buffered);
    }
    suspend_one(&mut connection, &claimed, TWO_OF_THREE).await;
    assert_eq!(count(&mut connection, "wait where met_at is not null and name = 'c'").await, 1);
    assert_eq!(count(&mut connection, "inbox where wait = 'another'").await, 1);
}

#[tokio::test]
async fn a_signal_for_a_plain_wait_is_kept_and_lives_over_the_retry_of_its_run() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    dispatcher.park(&claimed).await;
    assert_eq!(send(&mut connection, signal(&claimed, None, "1", 1)).await, Signalled::Buffered);
    dispatcher.settle(&[posthaste_tests::FakeDispatcher::end(&claimed, failed("callback"))]).await;
    let due = after(&mut connection, 100_000.0).await;
    posthaste_engine::promote::promote(&mut connection, 1, due).await.unwrap();
    let second = dispatcher.claim_one().await;

    suspend_one(&mut connection, &second, ONE).await;

    assert_eq!(attempts(&mut connection, claimed.job_id).await, ["1:retried", "2:suspended"]);
}

#[tokio::test]
async fn as_many_early_signals_are_kept_of_a_job_as_may_be_and_no_more() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let most = u8::try_from(MAX_EARLY).unwrap();
    let signals: Vec<_> = (0..=most).map(|digest| signal(&claimed, None, "1", digest)).collect();
    let told = resume(&mut connection, &signals).await.unwrap();
    assert_eq!(told.iter().filter(|told| **told == Signalled::Buffered).count(), usize::from(most));
    assert_eq!(told.last(), Some(&Signalled::TooMany));
    assert_eq!(send(&mut connection, signal(&claimed, None, "1", 200)).await, Signalled::TooMany);
    assert_eq!(send(&mut connection, signal(&claimed, None, "1", 0)).await, Signalled::Buffered, "it is there");
}

#[tokio::test]
async fn the_sweep_drops_signals_of_jobs_that_ended_and_gives_the_others_to_their_runs() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    send(&mut connection, signal(&claimed, None, "1", 1)).await;
    assert_eq!(inbox::sweep(&mut connection, 10).await.unwrap(), Swept::default(), "not yet");
    // As a gateway that was lost after it wrote the signal, while a suspension that had not seen it committed.
    run(&mut connection, "create table aside as select * from posthaste.inbox; delete from posthaste.inbox").await;
    suspend_one(&mut connection, &claimed, ONE).await;
    run(&mut connection, "insert into posthaste.inbox overriding system value select * from aside").await;
    run(&mut connection, "update posthaste.inbox set look_at = now()").await;
    assert_eq!(inbox::sweep(&mut connection, 10).await.unwrap(), Swept { rows: 1, met: 1, dropped: 0 });

    let second = dispatcher.claim_one().await;
    send(&mut connection, Signal { via: "callback:resume".to_owned(), ..signal(&second, None, "2", 2) }).await;
    assert_eq!(count(&mut connection, "delivery").await, 0, "what met its wait is in the ledger");
    dispatcher.finish(&second, Outcome::Completed { result: None }).await;
    run(&mut connection, "update posthaste.inbox set look_at = now()").await;
    assert_eq!(inbox::sweep(&mut connection, 10).await.unwrap(), Swept { rows: 1, met: 0, dropped: 1 });
    assert_eq!(count(&mut connection, "inbox").await, 0);
    let logged =
        "delivery where run_lease = 2 and inbox_id is not null and bytes = 1 and via = 'callback' and action = 'resume'
        and source is null and verdict = 'rejected' and reason = 'it was kept, and its job has ended'";
    assert_eq!(count(&mut connection, logged).await, 1);
}

const WITH_CEL: &str = r#"{"wait": {"name": "paid", "for": "callback", "cel": {"filter": "payload.paid"}}}"#;

#[tokio::test]
async fn a_signal_that_came_early_in_two_runs_is_judged_once_and_holds_up_nobody() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let other = dispatcher.claim_one().await;
    send(&mut connection, signal(&claimed, None, "1", 1)).await;
    dispatcher.settle(&[posthaste_tests::FakeDispatcher::end(&claimed, failed("callback"))]).await;
    let due = after(&mut connection, 100_000.0).await;
    posthaste_engine::promote::promote(&mut connection, 1, due).await.unwrap();
    let second = dispatcher.claim_one().await;
    send(&mut connection, signal(&second, None, "1", 1)).await;
    suspend_one(&mut connection, &second, WITH_CEL).await;
    send(&mut connection, signal(&other, None, "2", 2)).await;
    run(&mut connection, "update posthaste.inbox set look_at = now()").await;

    let swept = inbox::sweep(&mut connection, 10).await.unwrap();

    assert_eq!(swept, Swept { rows: 3, met: 0, dropped: 0 });
    assert_eq!(
        count(&mut connection, "inbox where why = 'quarantined' and judge_at <= now() and run_lease = 2").await,
        1
    );
    assert_eq!(count(&mut connection, "inbox where why = 'early' and look_at > now()").await, 1);
    assert_eq!(count(&mut connection, "inbox").await, 2);
}

#[tokio::test]
async fn an_early_signal_that_the_sweep_cannot_move_delays_only_itself() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let other = dispatcher.claim_one().await;
    for run in [&claimed, &other] {
        send(&mut connection, signal(run, None, "1", 1)).await;
    }
    run(
        &mut connection,
        "create function no() returns trigger language plpgsql as $$
           begin if old.inbox_id = 1 then raise check_violation; end if; return new; end $$;
         update posthaste.inbox set look_at = now();
         create trigger no before update on posthaste.inbox for each row execute function no()",
    )
    .await;
    assert_eq!(inbox::sweep(&mut connection, 10).await.unwrap(), Swept { rows: 1, met: 0, dropped: 0 });
    assert_eq!(count(&mut connection, "inbox where look_at > now() and inbox_id = 2").await, 1);
}

fn quarantine(claimed: &posthaste_engine::claim::ClaimedRun, digest: u8) -> Quarantine {
    Quarantine {
        run: reference(claimed),
        wait: Some("paid".to_owned()),
        via: "hook".to_owned(),
        digest: [digest; 16],
        payload: vec![0xff, 0, digest],
        headers: Some(r#"{"a": "b"}"#.to_owned()),
        error: "no such field".to_owned(),
    }
}

#[tokio::test]
async fn what_no_expression_could_judge_is_kept_listed_and_removed() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let ids = inbox::keep(&mut connection, &[quarantine(&claimed, 1), quarantine(&claimed, 2)]).await.unwrap();
    let (first, second) = (ids[0].unwrap(), ids[1].unwrap());
    assert_eq!(inbox::keep(&mut connection, &[quarantine(&claimed, 1)]).await.unwrap(), [Some(first)]);

    let listed = inbox::list(&mut connection, Some(claimed.job_id), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [second, first]);
    let before = inbox::list(&mut connection, None, Some(second), 10).await.unwrap();
    assert_eq!(before.iter().map(|one| one.id).collect::<Vec<_>>(), [first]);
    assert!(inbox::list(&mut connection, Some(0), None, 10).await.unwrap().is_empty());
    let one = inbox::get(&mut connection, first).await.unwrap().unwrap().quarantine;
    assert_eq!((one.run, one.payload, one.wait.as_deref()), (reference(&claimed), vec![0xff, 0, 1], Some("paid")));

    assert!(inbox::remove(&mut connection, first).await.unwrap());
    assert!(!inbox::remove(&mut connection, first).await.unwrap());
    assert!(inbox::get(&mut connection, first).await.unwrap().is_none());
    // No signal: a suspension does not take it.
    suspend_one(&mut connection, &claimed, ONE).await;
    assert_eq!(count(&mut connection, "inbox").await, 1);
}

#[tokio::test]
async fn a_quarantine_is_forgotten_after_its_retention_or_with_its_range() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    inbox::keep(&mut connection, &[quarantine(&claimed, 1), quarantine(&claimed, 2)]).await.unwrap();
    run(&mut connection, "update posthaste.inbox set received_at = now() - interval '31 days' where inbox_id = 1")
        .await;
    forget(&mut connection, &Retention::default()).await.unwrap();
    assert_eq!(count(&mut connection, "inbox").await, 1);

    suspend_one(&mut connection, &claimed, TWO_OF_THREE).await;
    cancel(&mut connection, claimed.job_id, true).await;
    run(
        &mut connection,
        "select setval('posthaste.seq', 1500000);
         insert into posthaste.continuation (job_id) select job_id from posthaste.job;
         insert into posthaste.wait (job_id, run_lease, deadline_at, n, awaits, name)
           select job_id, 1, now(), 1, 'timer', 'left behind' from posthaste.job;
         update posthaste.job_range set created_at = now() - interval '90 days';
         update posthaste.attempt set finished_at = now() - interval '80 hours'",
    )
    .await;
    assert_eq!(drop_range(&mut connection, &Retention::default()).await.unwrap(), Some(0));
    for table in ["inbox", "continuation", "wait", "waiting"] {
        assert_eq!(count(&mut connection, table).await, 0, "{table}");
    }
}
