//! Stranded: jobs that no endpoint takes are counted and named, and are no lag that more dispatchers could work off.

use posthaste_engine::{
    depth::{Depth, depth},
    doctor::{self, Stranded},
    session::Role,
};
use posthaste_tests::{
    FakeDispatcher, TestDb,
    sql::{enqueue, run},
};
use sqlx::PgConnection;

async fn endpoint(connection: &mut PgConnection, name: &str, kind: &str) {
    run(
        connection,
        &format!(
            "with e as (insert into posthaste.endpoint (name, spec, secret) values ('{name}', '{{}}', '') returning name)
             insert into posthaste.endpoint_kind (endpoint, kind) select name, '{kind}' from e"
        ),
    )
    .await;
}

/// Jobs that are an hour old: one that an endpoint takes, and in other queues some that none does.
async fn scene(connection: &mut PgConnection) {
    endpoint(connection, "mailer", "email").await;
    endpoint(connection, "printer", "pdf").await;
    run(connection, "update posthaste.endpoint set paused_at = now() where name = 'printer'").await;
    for job in [
        "'email', queue => 'taken'",
        "'emial', queue => 'misspelled'",
        "'emial', queue => 'misspelled'",
        "'emial', queue => 'other'",
        "'pdf', queue => 'paused'",
        "'email', queue => 'elsewhere', endpoint => 'nowhere'",
    ] {
        enqueue(connection, job).await;
    }
    run(connection, "update posthaste.job set created_at = now() - interval '1 hour'").await;
}

#[tokio::test]
async fn lag_is_that_of_jobs_which_an_endpoint_takes_and_the_others_are_counted_apart() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    scene(&mut connection).await;
    let all = depth(&mut connection).await.unwrap();
    let of = |queue: &str| {
        let Depth { available, stranded, lag_s, .. } = all.iter().find(|depth| depth.queue == queue).unwrap();
        (*available, *stranded, *lag_s >= 3600.0, *lag_s == 0.0)
    };
    assert_eq!(of("taken"), (1, 0, true, false));
    assert_eq!(of("misspelled"), (2, 2, false, true));
    assert_eq!(of("paused"), (1, 1, false, true));
    assert_eq!(of("elsewhere"), (1, 1, false, true));

    endpoint(&mut connection, "rest", "*").await;
    let misspelled =
        depth(&mut connection).await.unwrap().into_iter().find(|depth| depth.queue == "misspelled").unwrap();
    assert!(misspelled.stranded == 0 && misspelled.lag_s >= 3600.0, "{misspelled:?}");
}

#[tokio::test]
async fn the_doctor_names_each_kind_that_no_endpoint_takes() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    assert_eq!(doctor::stranded(&mut connection).await.unwrap(), []);
    scene(&mut connection).await;
    let stranded = |kind: &str, endpoint: Option<&str>, jobs| Stranded {
        kind: kind.to_owned(),
        endpoint: endpoint.map(str::to_owned),
        jobs,
    };
    assert_eq!(
        doctor::stranded(&mut connection).await.unwrap(),
        [stranded("emial", None, 3), stranded("email", Some("nowhere"), 1)],
        "a paused endpoint says so itself"
    );
}

#[tokio::test]
async fn a_dispatcher_that_died_long_ago_and_holds_nothing_is_no_news() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let silent_for = async |connection: &mut PgConnection, time: &str| {
        run(connection, &format!("update posthaste.dispatcher set beat_at = now() - interval '{time}'")).await;
        doctor::fleet(connection).await.unwrap().silent
    };
    assert_eq!(silent_for(&mut connection, "1 minute").await, 1);
    assert_eq!(silent_for(&mut connection, "6 minutes").await, 0);
    enqueue(&mut connection, "'k'").await;
    dispatcher.claim_one().await;
    assert_eq!(silent_for(&mut connection, "6 minutes").await, 1);
}
