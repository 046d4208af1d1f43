//! What people see of jobs that wait, and what keeps their rows.

use posthaste_engine::{
    doctor,
    explain::{Reason, explain},
    held::RunRef,
    list::{Filter, list},
    overview,
    session::Role,
};
use posthaste_protocol::{id::JobId, job::State};
use posthaste_tests::{
    FakeDispatcher, TestDb,
    sql::{count, enqueue, number, run},
};

#[tokio::test]
async fn a_waiting_job_is_listed_counted_explained_and_found() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let id = enqueue(&mut connection, "'k', queue => 'q'").await;
    let claimed = dispatcher.claim_one().await;
    // Parked by a batch that did not drain the lease: still it waits, and does not run.
    let parks = [FakeDispatcher::accepted(&claimed)];
    posthaste_engine::park::park(&mut connection, &parks, &[]).await.unwrap();

    let filter = |state| Filter { state: Some(state), ..Filter::default() };
    let listed = list(&mut connection, &filter(State::Waiting), None, 10).await.unwrap();
    assert_eq!(listed.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [JobId(id)]);
    assert!(list(&mut connection, &filter(State::Running), None, 10).await.unwrap().jobs.is_empty());
    let queues = overview::queues(&mut connection).await.unwrap();
    assert_eq!((queues[0].running, queues[0].waiting), (0, 1));
    let explained = explain(&mut connection, JobId(id)).await.unwrap();
    assert_eq!((explained.state, explained.reason), (State::Waiting, Reason::WaitingForCallback));
    assert_eq!(doctor::nowhere(&mut connection).await.unwrap(), Vec::<i64>::new());
    run(&mut connection, "delete from posthaste.lease").await;
    assert_eq!(doctor::nowhere(&mut connection).await.unwrap(), Vec::<i64>::new());
    run(&mut connection, "delete from posthaste.waiting").await;
    assert_eq!(doctor::nowhere(&mut connection).await.unwrap(), [id], "and only the row kept it somewhere");
    let reference = RunRef { lease: claimed.lease, job_id: id, run_lease: 1 };
    assert!(posthaste_engine::held::held(&mut connection, &[reference]).await.unwrap()[0].is_none());
}

#[tokio::test]
async fn a_waiting_job_that_expires_meanwhile_goes_on() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    enqueue(&mut connection, "'k', expires_at => now() + interval '1 hour'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    run(&mut connection, "update posthaste.expiring set expires_at = now() - interval '1 s'").await;
    assert_eq!(posthaste_engine::sweep::expire(&mut connection).await.unwrap(), 0);
    assert_eq!(number(&mut connection, "select count(*) from posthaste.parked").await, 1);
    assert_eq!(count(&mut connection, "attempt").await, 0);
}
