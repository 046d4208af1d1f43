//! Sessions: a held connection is durable, or not kept.

use posthaste_engine::session::{Role, Session};
use posthaste_tests::{
    TestDb,
    sql::{number, run},
};

#[tokio::test]
async fn a_connection_that_could_not_be_made_durable_is_not_kept() {
    let db = TestDb::new().await;
    let mut other = db.connect(Role::General).await;
    run(
        &mut other,
        "create schema aside;
         create sequence aside.asked;
         create function aside.current_setting(text) returns text language plpgsql as $$
           begin
             if nextval('aside.asked') = 1 then raise 'not yet'; end if;
             return 'on';
           end $$",
    )
    .await;
    // The question whether commits are durable is answered by this function.
    let url = format!("{}&options[search_path]=aside,pg_catalog", db.url());
    let mut session = Session::new(&url, Role::General).unwrap();
    assert!(session.connect().await.is_err());

    session.connect().await.unwrap();

    assert!(number(&mut other, "select last_value from aside.asked").await > 1, "the second connection asked too");
    assert_eq!(session.generation(), 1);
}
