//! What came for a job before is known, and where the job is.

use posthaste_engine::{
    resume::Signalled,
    standing::{Standing, standing},
};
use posthaste_protocol::job::State;
use posthaste_tests::sql::{cancel, number, run};
use sqlx::PgConnection;

use crate::suspend::{ONE, TWO_OF_THREE, reference, send, setup, signal, suspend_one};

async fn stands(connection: &mut PgConnection, job: i64, digest: u8) -> Standing {
    standing(connection, &[(job, [digest; 16])]).await.unwrap().remove(0)
}

#[tokio::test]
async fn every_signal_that_met_a_wait_is_known_after_the_wake() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, TWO_OF_THREE).await;
    for digest in [1, 2] {
        send(&mut connection, signal(&claimed, None, "1", digest)).await;
    }
    for digest in [1, 2] {
        let again = send(&mut connection, signal(&claimed, None, "1", digest)).await;
        assert_eq!(again, Signalled::Duplicate { state: State::Available }, "{digest}");
        let applied = Standing::Applied { state: State::Available };
        assert_eq!(stands(&mut connection, claimed.job_id, digest).await, applied);
    }
    assert!(matches!(send(&mut connection, signal(&claimed, None, "1", 3)).await, Signalled::Told(_)));

    // The next run's signals are its own, though they say the same.
    let second = dispatcher.claim_one().await;
    suspend_one(&mut connection, &second, ONE).await;
    let woken = send(&mut connection, signal(&second, None, "1", 1)).await;
    assert_eq!(woken, Signalled::Applied { state: State::Available });
}

#[tokio::test]
async fn no_more_of_a_job_is_remembered_than_its_bound() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let mut claimed = std::sync::Arc::new(claimed);
    for digest in 1..=70 {
        suspend_one(&mut connection, &claimed, ONE).await;
        send(&mut connection, signal(&claimed, None, "1", digest)).await;
        claimed = dispatcher.claim_one().await;
    }
    let heard = "select cardinality(heard)::bigint from posthaste.continuation";
    assert_eq!(number(&mut connection, heard).await, 64);
    for (digest, known) in [(6, false), (7, true), (70, true)] {
        let applied = matches!(stands(&mut connection, claimed.job_id, digest).await, Standing::Applied { .. });
        assert_eq!(applied, known, "{digest}");
    }
}

#[tokio::test]
async fn a_job_stands_in_a_run_or_between_two_or_is_over() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let job = claimed.job_id;
    assert_eq!(stands(&mut connection, job, 1).await, Standing::Runs(reference(&claimed)));
    dispatcher.park(&claimed).await;
    assert_eq!(stands(&mut connection, job, 1).await, Standing::Runs(reference(&claimed)));
    dispatcher.settle(&[posthaste_tests::FakeDispatcher::end(&claimed, posthaste_tests::failed("no"))]).await;
    assert_eq!(stands(&mut connection, job, 1).await, Standing::Between);
    run(&mut connection, "update posthaste.scheduled set run_at = now()").await;
    posthaste_engine::promote::promote(&mut connection, 1, None).await.unwrap();
    assert_eq!(stands(&mut connection, job, 1).await, Standing::Between);
    cancel(&mut connection, job, false).await;
    assert_eq!(stands(&mut connection, job, 1).await, Standing::Over);
    assert_eq!(stands(&mut connection, 4711, 1).await, Standing::Over);
}
