//! Checkpoints: steps under compare-and-set, kept to the letter over retries and resumes.

use posthaste_engine::{
    checkpoint::{Checkpoint, Checkpointed, checkpoint},
    claim::ClaimedRun,
    lifecycle::Outcome,
};
use posthaste_protocol::steps::MAX_STEPS_BYTES;
use posthaste_tests::sql::{backend, cancel, count, run, start_blocked, text};
use serde_json::value::RawValue;
use sqlx::{Connection, PgConnection};

use crate::suspend::{reference, setup};

fn steps(claimed: &ClaimedRun, seq: u32, steps: &str) -> Checkpoint {
    Checkpoint { run: reference(claimed), seq: Some(seq), steps: RawValue::from_string(steps.to_owned()).unwrap() }
}

async fn store(connection: &mut PgConnection, one: Checkpoint) -> Checkpointed {
    checkpoint(connection, &[one]).await.unwrap().remove(0)
}

fn kept(seq: u32) -> Checkpointed {
    Checkpointed::Kept { seq, waits: false, cancel_requested: false }
}

#[tokio::test]
async fn steps_are_merged_by_name_and_kept_to_the_letter() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    assert_eq!(store(&mut connection, steps(&claimed, 0, r#"{"a": {"n" : 1.0}, "b\u00e9": [1 ,2]}"#)).await, kept(1));
    assert_eq!(store(&mut connection, steps(&claimed, 1, r#"{"c": null, "a": "new"}"#)).await, kept(2));
    assert_eq!(store(&mut connection, steps(&claimed, 2, "{}")).await, kept(3));

    dispatcher.finish(&claimed, Outcome::Released).await;
    let next = dispatcher.claim_one().await;
    assert_eq!(next.steps.as_deref(), Some(r#"{"a":"new","bé":[1 ,2],"c":null}"#));
    assert_eq!((next.resume.clone(), next.resumes), (None, 0));
    assert_eq!(store(&mut connection, steps(&claimed, 3, "{}")).await, Checkpointed::Over, "an older run");
}

#[tokio::test]
async fn a_checkpoint_that_knows_too_little_is_told_what_it_missed() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let early = store(&mut connection, steps(&claimed, 1, r#"{"a": 1}"#)).await;
    assert_eq!(early, Checkpointed::Conflict { seq: 0, steps: "{}".to_owned(), waits: false });
    assert_eq!(count(&mut connection, "continuation").await, 0);
    dispatcher.park(&claimed).await;
    cancel(&mut connection, claimed.job_id, false).await;
    let waits = Checkpointed::Kept { seq: 1, waits: true, cancel_requested: true };
    assert_eq!(store(&mut connection, steps(&claimed, 0, r#"{"a": 1}"#)).await, waits);
    let late = store(&mut connection, steps(&claimed, 0, r#"{"b": 2}"#)).await;
    assert_eq!(late, Checkpointed::Conflict { seq: 1, steps: r#"{"a":1}"#.to_owned(), waits: true });
    assert_eq!(store(&mut connection, steps(&claimed, 0, r#"{"a": 1}"#)).await, waits, "its answer was lost");
}

#[tokio::test]
async fn steps_that_grow_past_their_bound_are_refused_whole() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let long = "x".repeat(MAX_STEPS_BYTES / 2);
    assert_eq!(store(&mut connection, steps(&claimed, 0, &format!(r#"{{"a": "{long}"}}"#))).await, kept(1));
    let told = store(&mut connection, steps(&claimed, 1, &format!(r#"{{"b": "{long}"}}"#))).await;
    assert_eq!(told, Checkpointed::TooLarge);
    assert_eq!(store(&mut connection, steps(&claimed, 1, r#"{"a": 1}"#)).await, kept(2));
}

#[tokio::test]
async fn a_checkpoint_that_others_overtake_each_time_is_told_how_far_they_are() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    store(&mut connection, steps(&claimed, 0, r#"{"a": 1}"#)).await;
    // As if others stored whenever it had looked.
    run(
        &mut connection,
        "create function aside() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger aside before insert on posthaste.continuation for each row execute function aside()",
    )
    .await;
    let whatever = Checkpoint { seq: None, ..steps(&claimed, 0, r#"{"b": 2}"#) };
    let told = store(&mut connection, whatever).await;
    assert_eq!(told, Checkpointed::Conflict { seq: 2, steps: "{}".to_owned(), waits: false });
}

#[tokio::test]
async fn of_two_checkpoints_that_know_the_same_the_second_waits_and_is_told() {
    for first_of_all in [true, false] {
        for commits in [true, false] {
            let (db, mut observer, _dispatcher, claimed) = setup().await;
            let base = u32::from(!first_of_all);
            if !first_of_all {
                store(&mut observer, steps(&claimed, 0, r#"{"z": 0}"#)).await;
            }
            let mut first = db.patient(posthaste_engine::session::Role::Settle).await;
            let mut second = db.patient(posthaste_engine::session::Role::Settle).await;
            let mut tx = first.begin().await.unwrap();
            assert_eq!(store(&mut tx, steps(&claimed, base, r#"{"a": 1}"#)).await, kept(base + 1));

            let pid = backend(&mut second).await;
            let other = steps(&claimed, base, r#"{"b": 2}"#);
            let storing = start_blocked(&mut observer, pid, async move { store(&mut second, other).await }).await;
            if commits {
                tx.commit().await.unwrap();
            } else {
                tx.rollback().await.unwrap();
            }

            let told = storing.await.unwrap();
            if commits {
                assert!(matches!(told, Checkpointed::Conflict { seq, .. } if seq == base + 1), "{told:?}");
            } else {
                assert_eq!(told, kept(base + 1));
            }
            let stored = text(&mut observer, "select steps::text from posthaste.continuation").await;
            assert_eq!(stored.contains(r#""a":1"#), commits, "{stored}");
        }
    }
}
