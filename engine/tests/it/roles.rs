//! The roles: what each may do is held word by word, and what it must not see it cannot.

use posthaste_engine::{endpoint, lane, migrate, session::Role, source};
use posthaste_tests::{
    TestDb,
    sql::{count, enqueue},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::suspend::setup;

const MATRIX: &str = include_str!("privileges.txt");

/// Everything that is granted on the schema and what is in it to anybody but its owner, a line each. Ranges are left out:
/// nobody is granted one.
const GRANTS: &str = "
  with granted as (
    select 'schema' as kind, n.nspname::text as name, x.grantee, x.privilege_type
    from pg_namespace n, aclexplode(n.nspacl) x where n.nspname = 'posthaste' and x.grantee <> n.nspowner
    union all
    select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, c.relname, x.grantee, x.privilege_type
    from pg_class c, aclexplode(c.relacl) x
    where c.relnamespace = 'posthaste'::regnamespace and not c.relispartition and x.grantee <> c.relowner
    union all
    select 'columns', c.relname || ' (' || string_agg(a.attname, ', ' order by a.attnum) || ')', x.grantee, x.privilege_type
    from pg_attribute a join pg_class c on c.oid = a.attrelid, aclexplode(a.attacl) x
    where c.relnamespace = 'posthaste'::regnamespace and x.grantee <> c.relowner
    group by c.relname, x.grantee, x.privilege_type
    union all
    select 'function', p.proname, coalesce(x.grantee, 0), coalesce(x.privilege_type, 'EXECUTE')
    from pg_proc p left join lateral aclexplode(p.proacl) x on true
    where p.pronamespace = 'posthaste'::regnamespace and coalesce(x.grantee, 0) <> p.proowner
  )
  select coalesce(pg_get_userbyid(nullif(grantee, 0)), 'public') || ': ' || kind || ' ' || name || ': '
    || string_agg(distinct lower(privilege_type), ', ' order by lower(privilege_type))
  from granted
  group by grantee, kind, name
  order by 1";

#[tokio::test]
async fn every_role_has_these_privileges_and_no_others() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let granted: Vec<String> = sqlx::query_scalar(GRANTS).fetch_all(&mut connection).await.unwrap();
    let expected: Vec<&str> = MATRIX.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let unexpected: Vec<_> = granted.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    let missing: Vec<_> = expected.iter().filter(|line| !granted.iter().any(|one| one == *line)).collect();
    assert!(
        unexpected.is_empty() && missing.is_empty(),
        "not in the matrix:\n{unexpected:#?}\nnot granted:\n{missing:#?}"
    );
}

async fn connect_as(db: &TestDb, role: &str) -> PgConnection {
    PgConnection::connect(&db.url_as(role)).await.expect("connecting with a role")
}

/// The SQLSTATE that this statement is refused with; `None` when it is not.
async fn refused(connection: &mut PgConnection, statement: &str) -> Option<String> {
    let error = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.err()?;
    Some(error.as_database_error().expect("an answer of Postgres").code().expect("a SQLSTATE").into_owned())
}

async fn assert_denied(db: &TestDb, role: &str, statements: &[&str]) {
    let mut connection = connect_as(db, role).await;
    for statement in statements {
        assert_eq!(refused(&mut connection, statement).await.as_deref(), Some("42501"), "{role}: {statement}");
    }
}

async fn assert_allowed(db: &TestDb, role: &str, statements: &[&str]) {
    let mut connection = connect_as(db, role).await;
    for statement in statements {
        assert_eq!(refused(&mut connection, statement).await, None, "{role}: {statement}");
    }
}

#[tokio::test]
async fn a_gateway_sees_no_args_no_results_and_no_secrets() {
    let db = TestDb::new().await;
    let hidden = [
        "select args from posthaste.job",
        "select * from posthaste.job",
        "select result from posthaste.attempt",
        "select args from posthaste.jobs",
        "select result from posthaste.jobs",
        "select * from posthaste.dead_letter",
        "select * from posthaste.dead_letters",
        "select secret from posthaste.endpoint",
        "select * from posthaste.api_key",
        "insert into posthaste.attempt (job_id, run_lease, outcome, ended_by, attempt) values (1, 1, 'completed', 'callback', 1)",
        "select posthaste.enqueue('k')",
        "select posthaste.cancel(1)",
        // Whose results a wait for jobs shows is not for it to say, nor to end what no token names.
        "update posthaste.wait set awaits = 'jobs', jobs = '{1}'",
        "select * from posthaste.finalize_v3('{1}', '{1}', '{null}', '{null}', '{completed}', '{null}', '{null}', '{null}', '{null}',
           '{null}', '{1}', '{null}', '{null}', '{null}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', 'operator', '{}', '{}', '{}')",
        "select * from posthaste.end_held_v1('{1}', '{1}', '{null}', '{null}', '{completed}', '{null}', '{null}', '{null}', '{null}',
           '{null}', '{1}', '{null}', '{null}', '{null}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', 'callback', '{}', '{}', '{}')",
        "select * from posthaste.end_held_v1('{1}', '{1}', '{1}', '{00000000-0000-0000-0000-000000000001}', '{completed}', '{null}', '{null}',
           '{null}', '{null}', '{null}', '{1}', '{null}', '{null}', '{null}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', 'operator',
           '{}', '{}', '{}')",
    ];
    assert_denied(&db, "gateway", &hidden).await;
}

#[tokio::test]
async fn a_gateway_cannot_see_what_came_for_a_job_nor_what_it_has_done() {
    let db = TestDb::new().await;
    let hidden = [
        "select payload from posthaste.wait",
        "select * from posthaste.wait",
        "select resume_payload from posthaste.continuation",
        "select steps from posthaste.continuation",
        "select * from posthaste.continuation",
        "insert into posthaste.continuation (job_id, steps) values (1, '{}')",
        "update posthaste.continuation set resumes = 0",
        "delete from posthaste.wait",
    ];
    assert_denied(&db, "gateway", &hidden).await;
}

/// In place of the lease or the wait of a run: jobs, runs, leases, nonces.
const NOBODY: &str = "'{1}', '{1}', '{1}', '{00000000-0000-0000-0000-000000000001}'";

#[tokio::test]
async fn a_gateway_cannot_take_a_run_that_nobody_holds() {
    let db = TestDb::new().await;
    let mut owner = db.connect(Role::General).await;
    let job = enqueue(&mut owner, "'k'").await;
    let denied = [
        "insert into posthaste.waiting (job_id, run_lease, lease_id, deadline_at, hard_at, callback_ms, nonce, lane_id, wait_number,
             priority, failures, uncounted)
           values (1, 1, 1, now(), now(), 1, '00000000-0000-0000-0000-000000000001', 1, 1, 2, 0, 0)",
        "update posthaste.waiting set nonce = '00000000-0000-0000-0000-000000000001'",
        "update posthaste.waiting set job_id = 1",
        "delete from posthaste.waiting",
        "update posthaste.lease set expires_at = now()",
        "insert into posthaste.inbox (job_id, run_lease, lease_id, look_at, nonce, why, via, digest)
           values (1, 1, 1, now(), '00000000-0000-0000-0000-000000000001', 'early', 'hook', '\\x01')",
        "update posthaste.inbox set why = 'early', look_at = now()",
        "update posthaste.inbox set payload = '1'",
        "update posthaste.inbox set job_id = 1",
        // Nothing has woken this run: what it waits for is not to be taken away.
        "select posthaste.go_on_v1('{1}', '{1}', '{1}', '{false}')",
    ];
    assert_denied(&db, "gateway", &denied).await;
    let nobody = NOBODY.replacen("{1}", &format!("{{{job}}}"), 1);
    let idle = [
        format!("select posthaste.park_held_v1({nobody}, '{{1000}}', '{{null}}', '{{1000}}')"),
        format!(
            "select * from posthaste.keep_v1('early', {nobody}, '{{hook}}', '{{null}}', '{{\\x01}}', '{{1}}', '{{null}}', '{{null}}', 32, false)"
        ),
        format!("select * from posthaste.checkpoint_v1({nobody}, '{{null}}', '{{\"{{}}\"}}', 1000)"),
        format!(
            "select * from posthaste.complete_held_v1({nobody}, '{{complete}}', '{{\\x01}}', '{{1}}', '{{true}}', '{{1}}')"
        ),
    ];
    assert_allowed(&db, "gateway", &idle.each_ref().map(String::as_str)).await;
    for table in ["waiting", "inbox", "continuation", "attempt"] {
        assert_eq!(count(&mut owner, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_gateway_with_the_lease_of_one_run_cannot_take_another() {
    let (db, mut owner, mut dispatcher, claimed) = setup().await;
    let other = enqueue(&mut owner, "'k'").await;
    let run = format!("'{{{}}}', '{{{}}}'", claimed.lease.lease_id, claimed.lease.nonce);
    let park = |job: i64, run_lease: i64| {
        format!(
            "select posthaste.park_held_v1('{{{job}}}', '{{{run_lease}}}', {run}, '{{1000}}', '{{null}}', '{{1000}}')"
        )
    };
    let others = [park(other, 1), park(claimed.job_id, 2)];
    assert_allowed(&db, "gateway", &others.each_ref().map(String::as_str)).await;
    assert_eq!(count(&mut owner, "waiting").await, 0);
    let end = |job: i64, run_lease: i64| {
        format!(
            "select * from posthaste.end_held_v1('{{{job}}}', '{{{run_lease}}}', {run}, '{{completed}}', '{{null}}', '{{null}}', '{{null}}',
               '{{null}}', '{{null}}', '{{1}}', '{{null}}', '{{null}}', '{{null}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}',
               '{{}}', '{{}}', 'callback', '{{}}', '{{}}', '{{}}')"
        )
    };
    let others = [end(other, 1), end(claimed.job_id, 2)];
    assert_denied(&db, "gateway", &others.each_ref().map(String::as_str)).await;
    let complete = |job: i64, run_lease: i64| {
        format!(
            "select * from posthaste.complete_held_v1('{{{job}}}', '{{{run_lease}}}', {run}, '{{complete}}', '{{\\x01}}', '{{1}}',
               '{{true}}', '{{1}}')"
        )
    };
    let others = [complete(other, 1), complete(claimed.job_id, 2)];
    assert_allowed(&db, "gateway", &others.each_ref().map(String::as_str)).await;
    assert_eq!(count(&mut owner, "attempt").await, 0);
    assert_allowed(&db, "gateway", &[&park(claimed.job_id, 1)]).await;
    assert_eq!(count(&mut owner, "parked").await, 1);
    dispatcher.park(&claimed).await;
    assert_allowed(&db, "gateway", &[&end(claimed.job_id, 1)]).await;
    assert_eq!(count(&mut owner, "attempt").await, 1);
}

#[tokio::test]
async fn a_producer_enqueues_and_cancels_and_sees_nothing() {
    let db = TestDb::new().await;
    let enqueue = "select posthaste.cancel(posthaste.enqueue('k'))";
    assert_allowed(&db, "producer", &[enqueue, "select * from posthaste.enqueue_many('[{\"kind\": \"k\"}]')"]).await;
    let hidden = [
        "select * from posthaste.jobs",
        "select * from posthaste.job",
        "select * from posthaste.endpoint",
        "delete from posthaste.ready",
    ];
    assert_denied(&db, "producer", &hidden).await;
}

#[tokio::test]
async fn a_reader_sees_jobs_and_changes_nothing() {
    let db = TestDb::new().await;
    let views =
        ["jobs", "dead_letters", "queue_depth", "deliveries"].map(|view| format!("select * from posthaste.{view}"));
    assert_allowed(&db, "reader", &views.each_ref().map(String::as_str)).await;
    let denied = [
        "select posthaste.enqueue('k')",
        "select posthaste.cancel(1)",
        "select * from posthaste.endpoint",
        "delete from posthaste.dead_letter",
    ];
    assert_denied(&db, "reader", &denied).await;
}

#[tokio::test]
async fn a_dispatcher_makes_no_jobs_no_endpoints_and_no_keys() {
    let db = TestDb::new().await;
    let denied = [
        "select posthaste.enqueue('k')",
        "insert into posthaste.job (job_id, lane_id, priority, max_attempts, args) values (1, 1, 1, 1, '{}')",
        "update posthaste.endpoint set spec = '{}'",
        "delete from posthaste.endpoint",
        "select * from posthaste.api_key",
        "select * from posthaste.source",
        "drop table posthaste.ready",
    ];
    assert_denied(&db, "dispatcher", &denied).await;
}

#[tokio::test]
async fn roles_that_an_administrator_made_later_get_their_grants_at_the_next_migrate() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let revoke = "revoke all on all tables in schema posthaste from posthaste_reader";
    sqlx::raw_sql(revoke).execute(&mut connection).await.unwrap();
    assert_denied(&db, "reader", &["select * from posthaste.jobs"]).await;
    assert_eq!(migrate::migrate(&mut connection).await.unwrap(), Vec::<i64>::new());
    assert_allowed(&db, "reader", &["select * from posthaste.jobs"]).await;
}

#[tokio::test]
async fn a_gateway_reads_what_it_needs_of_lanes_endpoints_and_sources() {
    let db = TestDb::new().await;
    let mut connection = connect_as(&db, "gateway").await;
    lane::lanes(&mut connection).await.unwrap();
    endpoint::specs(&mut connection).await.unwrap();
    source::sources(&mut connection).await.unwrap();
    migrate::check(&mut connection).await.unwrap();
}
