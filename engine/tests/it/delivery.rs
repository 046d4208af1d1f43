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

    trim(&mut connection).await.unwrap();

    assert_eq!(count(&mut connection, "delivery").await, 100_000);
    assert_eq!(number(&mut connection, "select min(delivery_id) from posthaste.delivery").await, 18_001);
}
