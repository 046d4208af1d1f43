-- finalize: end runs, each once. The attempt row that this inserts is the fence; whoever comes second is told.
-- One text for everybody who ends a run: the engine prepares it, posthaste.finalize_v3 wraps one like it for SQL. A dispatcher ends
-- runs that its leases hold: its text is this one without what stands between <waits> and </waits>, and costs it nothing.
-- What follows a completed end is in complete.sql too: whoever adds to one adds to both. Between <told> and </told> it is one text.
-- $1–$14 one element per run, at most one per run; $15–$23 one per run that goes again or dies; $24 who ends them; $25
-- leases whose last runs these are; $26, $27 one per run, or empty: the callback's action and digest; see
-- engine/src/finalize.rs. `unnest` in the select list streams; in `from` each array would be stored first.
with input as (
  select
    unnest($1::bigint[]) as job_id,
    unnest($2::bigint[]) as run_lease,
    unnest($3::bigint[]) as lease_id,
    unnest($4::uuid[]) as nonce,
    unnest($5::text[]) as outcome,
    unnest($6::text[]) as class,
    unnest($7::smallint[]) as http_status,
    unnest($8::bigint[]) as age_us,
    unnest($9::integer[]) as headers_us,
    unnest($10::integer[]) as body_us,
    unnest($11::smallint[]) as attempt,
    unnest($12::text[]) as result,
    unnest($13::text[]) as error_code,
    unnest($14::text[]) as error_message
    -- <waits>
    , unnest($26::text[]) as action
    , unnest($27::bytea[]) as digest
    -- </waits>
),
-- <waits>
parked as materialized (
  select w.job_id, w.run_lease, w.lease_id, w.nonce
  from posthaste.waiting w
  where w.job_id = any ($1)
),
-- </waits>
follow as materialized (
  select
    unnest($15::bigint[]) as job_id,
    unnest($16::bigint[]) as run_lease,
    unnest($17::text[]) as reason,
    unnest($18::bigint[]) as delay_ms,
    unnest($19::integer[]) as lane_id,
    unnest($20::smallint[]) as priority,
    unnest($21::smallint[]) as failures,
    unnest($22::smallint[]) as uncounted,
    unnest($23::timestamptz[]) as uncounted_since
),
cancels as materialized (
  select c.job_id, c.reason
  from posthaste.cancel_request c
  where c.job_id = any ($1)
),
ended as (
  insert into posthaste.attempt (
    job_id, run_lease, lease_id, started_at, outcome, class, ended_by, headers_us, body_us, attempt, http_status,
    error_code, error_message, result
    -- <waits>
    , action, digest
    -- </waits>
  )
  select
    i.job_id, i.run_lease, i.lease_id, now() - i.age_us * interval '1 microsecond',
    (case when c.job_id is null then i.outcome else 'cancelled' end)::posthaste.outcome,
    i.class::posthaste.class, (select $24::posthaste.ended_by), i.headers_us, i.body_us, i.attempt, i.http_status,
    case when c.job_id is null then i.error_code else 'cancelled' end,
    case when c.job_id is null then i.error_message else coalesce(c.reason, i.error_message, '') end,
    case when c.job_id is null then i.result end::json
    -- <waits>
    , i.action::posthaste.callback_action, i.digest
    -- </waits>
  from input i
  -- A run that would go again although somebody asked to cancel the job ends here.
  left join cancels c on c.job_id = i.job_id and i.outcome not in ('completed', 'dead')
  -- The lease is read without a lock: its nonce must match. No lease id: the caller took the row away in this transaction.
  where i.lease_id is null
    or (i.lease_id, i.nonce) in (
      select l.lease_id, l.nonce from posthaste.lease l where l.lease_id = any ($3))
    -- <waits>
    or (i.job_id, i.run_lease, i.lease_id, i.nonce) in (select p.job_id, p.run_lease, p.lease_id, p.nonce from parked p)
    -- </waits>
  -- The lock order: a hash join was seen to lose that of the arrays, and two batches to deadlock.
  order by i.job_id, i.run_lease
  on conflict do nothing
  returning attempt.job_id, attempt.run_lease, attempt.outcome, attempt.attempt, attempt.error_code, attempt.error_message
),
-- What follows reads from ended, so that a loser has no follow-up and every seq is drawn with an xid.
again as materialized (
  select
    f.job_id, f.run_lease + 1 as run_lease, f.delay_ms, f.lane_id, f.priority, f.failures, f.uncounted,
    -- Negative counts are snoozes. A release neither starts nor stops the clock.
    case when e.outcome = 'released' then f.uncounted_since when f.uncounted <> 0 then coalesce(f.uncounted_since, now()) end
      as uncounted_since
  from follow f
  join ended e on e.job_id = f.job_id and e.run_lease = f.run_lease
  where f.delay_ms is not null and e.outcome <> 'cancelled'
),
readied as (
  insert into posthaste.ready (seq, job_id, run_lease, uncounted_since, lane_id, priority, failures, uncounted)
  select nextval('posthaste.seq'), a.job_id, a.run_lease, a.uncounted_since, a.lane_id, a.priority, a.failures, a.uncounted
  from again a
  where a.delay_ms = 0
),
later as (
  insert into posthaste.scheduled (job_id, run_at, run_lease, uncounted_since, lane_id, priority, failures, uncounted)
  select a.job_id, now() + a.delay_ms * interval '1 millisecond', a.run_lease, a.uncounted_since, a.lane_id, a.priority,
    a.failures, a.uncounted
  from again a
  where a.delay_ms > 0
),
buried as (
  insert into posthaste.dead_letter (
    job_id, created_at, run_lease, timeout_ms, attempt, max_attempts, priority, namespace, reason, queue, kind, endpoint,
    error_code, error_message, args, tags, metadata, headers)
  select
    j.job_id, j.created_at, e.run_lease, j.timeout_ms, e.attempt, j.max_attempts, j.priority, j.namespace, f.reason,
    l.queue, l.kind, l.endpoint, e.error_code, e.error_message, j.args, j.tags, j.metadata, j.headers
  from (select * from follow where follow.reason is not null) f
  join ended e on e.job_id = f.job_id and e.run_lease = f.run_lease and e.outcome = 'dead'
  join posthaste.job j on j.job_id = f.job_id
  join posthaste.lane l on l.lane_id = j.lane_id
  on conflict on constraint dead_letter_pkey do nothing
),
-- Skip locked: a lease that a rescue holds is the rescue's to remove, and nobody waits here against the lock order.
drained as (
  delete from posthaste.lease
  where lease.ctid = any (array(select l.ctid from posthaste.lease l where l.lease_id = any ($25::bigint[]) for update skip locked))
),
granted as (
  delete from posthaste.cancel_request c
  using ended e
  where c.job_id = e.job_id and e.outcome in ('completed', 'cancelled', 'dead')
    and c.job_id = any (array(select k.job_id from cancels k))
)
-- <waits>
-- Skip locked: nobody waits for a row of `waiting` while it holds an end. A time-out that holds it deletes it; one that a
-- heartbeat holds stays behind, hidden by the end of its run, until its deadline.
, woken as (
  delete from posthaste.waiting
  where waiting.ctid = any (array(
    select w.ctid
    from ended e
    join posthaste.waiting w on w.job_id = e.job_id and w.run_lease = e.run_lease
    for update of w skip locked))
)
-- What a suspended run waited for. A wake takes these rows itself, with what came for them; whoever holds one holds the row
-- of `waiting` too, and both stay behind together.
, unawaited as (
  delete from posthaste.wait
  where wait.ctid = any (array(
    select w.ctid
    from ended e
    join posthaste.wait w on w.job_id = e.job_id and w.run_lease = e.run_lease
    where e.outcome <> 'suspended'
    for update of w skip locked))
)
-- </waits>
-- <told>
select
  e.job_id,
  e.run_lease,
  -- Once a statement, and only when somebody waits for an end: a waiter holds, or waits for, the exclusive lock that
  -- this tries to share. Shared, so that two finalizes at once do not take each other for waiters.
  (select count(pg_notify('posthaste_done', p.ids))
   from (
     select string_agg(n.job_id::text, ',') as ids
     from (
       select x.job_id, row_number() over () / 350 as part
       from ended x
       where (select not pg_try_advisory_xact_lock_shared(28776, 2))
     ) n
     group by n.part
   ) p) as notified
  -- <waits>
  , e.outcome::text as outcome
  -- </waits>
from ended e
-- </told>
