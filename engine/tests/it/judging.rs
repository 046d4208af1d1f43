//! Judging: what is kept until a gateway can say what it means.

use posthaste_engine::{
    claim::ClaimedRun,
    held::RunRef,
    inbox::Quarantine,
    judging::{due, failed, keep_early, leave_run},
    sweep::{Retention, forget},
};
use posthaste_tests::sql::{count, run, text};

use crate::suspend::{reference, setup};

fn webhook(claimed: &ClaimedRun, digest: u8) -> Quarantine {
    Quarantine {
        run: reference(claimed),
        wait: None,
        via: "hook".to_owned(),
        digest: [digest; 16],
        payload: vec![digest],
        headers: None,
        error: "it came early".to_owned(),
    }
}

const MAKE_DUE: &str = "update posthaste.inbox set judge_at = now() where judge_at is not null";

#[tokio::test]
async fn the_statement_that_keeps_what_came_early_also_says_when_it_is_judged() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    run(
        &mut connection,
        "create function no() returns trigger language plpgsql as $$ begin raise 'cut off here'; end $$;
         create trigger no before update on posthaste.inbox execute function no()",
    )
    .await;
    let ids = keep_early(&mut connection, &[webhook(&claimed, 1), webhook(&claimed, 1)]).await.unwrap();
    assert_eq!(ids[0], ids[1], "the same again is the same row");
    assert_eq!(count(&mut connection, "inbox where judge_at > now() and not verified").await, 1);
}

#[tokio::test]
async fn what_is_to_be_judged_is_kept_however_old_it_is() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    keep_early(&mut connection, &[webhook(&claimed, 1)]).await.unwrap();
    run(&mut connection, "update posthaste.inbox set received_at = now() - interval '31 days'").await;
    forget(&mut connection, &Retention::default()).await.unwrap();
    assert_eq!(count(&mut connection, "inbox").await, 1);
}

#[tokio::test]
async fn what_leaves_its_run_is_for_its_job_once_and_must_be_verified_again() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let other = Quarantine { run: RunRef { run_lease: 2, ..reference(&claimed) }, ..webhook(&claimed, 1) };
    let ids = keep_early(&mut connection, &[webhook(&claimed, 1), other, webhook(&claimed, 2)]).await.unwrap();
    run(&mut connection, "update posthaste.inbox set verified = true").await;
    run(&mut connection, MAKE_DUE).await;
    for (id, why) in ids.iter().zip([None, None, Some("its run is over")]) {
        leave_run(&mut connection, id.unwrap(), why).await.unwrap();
    }

    let due = due(&mut connection, 10).await.unwrap();

    assert_eq!(due.len(), 1, "the same delivery of two runs is one; what is in quarantine waits for an operator");
    assert!(due[0].kept.run.is_whichever() && !due[0].verified);
    let why = "select error from posthaste.inbox where judge_at is null and run_lease = 0 and not verified";
    assert_eq!(text(&mut connection, why).await, "its run is over");
}

#[tokio::test]
async fn what_stays_in_quarantine_is_verified_for_its_wait_and_is_there_once() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let ids = keep_early(&mut connection, &[webhook(&claimed, 1), webhook(&claimed, 2)]).await.unwrap();
    failed(&mut connection, ids[0].unwrap(), "no", Some("a")).await.unwrap();
    failed(&mut connection, ids[1].unwrap(), "no", None).await.unwrap();
    let again = keep_early(&mut connection, &[webhook(&claimed, 1)]).await.unwrap();
    assert_ne!(again[0], ids[0]);
    failed(&mut connection, again[0].unwrap(), "no", Some("a")).await.unwrap();
    let kept = "select string_agg(coalesce(wait, 'none'), ' ' order by inbox_id) from posthaste.inbox where verified";
    assert_eq!(text(&mut connection, kept).await, "a none");
}
