//! The delivery log is bounded, however much came since it was last looked at.

use posthaste_engine::{delivery::trim, session::Role};
use posthaste_tests::{
    TestDb,
    sql::{count, number, run},
};

#[tokio::test]
async fn a_trim_leaves_no_more_than_the_log_may_have() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let fill = "insert into posthaste.delivery (at, bytes, via, verdict)
        select now() - case when n <= 6000 then interval '8 days' else interval '0' end, 1, 'hook', 'ignored'
        from generate_series(1, 118000) n";
    run(&mut connection, fill).await;
    let keep = "insert into posthaste.inbox (job_id, run_lease, lease_id, nonce, why, via, digest)
        values (1, 0, 0, gen_random_uuid(), 'quarantined', 'hook', '');
        update posthaste.delivery set inbox_id = 1 where delivery_id = 3";
    run(&mut connection, keep).await;

    trim(&mut connection).await.unwrap();

    assert_eq!(count(&mut connection, "delivery").await, 100_001);
    let ids = "select min(delivery_id) from posthaste.delivery where delivery_id";
    assert_eq!(number(&mut connection, &format!("{ids} > 0")).await, 3, "what is kept is found by it");
    assert_eq!(number(&mut connection, &format!("{ids} > 3")).await, 18_001);
}
