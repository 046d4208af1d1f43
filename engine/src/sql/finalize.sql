-- finalize: end runs, each once. The attempt row that this inserts is the fence; whoever comes second is told.
-- One text for everybody who ends a run: the engine prepares it, posthaste.finalize_v1 wraps it for SQL.
-- Parameters are parallel arrays, one element per run, at most one row per run; see engine/src/finalize.rs.
with input as materialized (
  select i.*
  from unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::smallint[], $8::bigint[],
    $9::integer[], $10::integer[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::integer[],
    $17::smallint[], $18::smallint[], $19::smallint[], $20::smallint[], $21::timestamptz[]
  ) as i (
    job_id, run_lease, lease_id, nonce, outcome, class, http_status, age_us,
    headers_us, body_us, result, error_code, error_message, reason, delay_ms, lane_id,
    priority, attempt, failures, uncounted, uncounted_since
  )
),
-- The lease is read without a lock: a nonce must match. No lease id: the caller took the row away in this transaction.
held as materialized (
  select i.*
  from input i
  where i.lease_id is null
    or (i.lease_id, i.nonce) in (select l.lease_id, l.nonce from posthaste.lease l where l.lease_id = any ($3::bigint[]))
),
-- Looked up only for runs that would go again, or that were dropped on request.
cancels as materialized (
  select c.job_id, c.reason
  from posthaste.cancel_request c
  where c.job_id = any (array(select h.job_id from held h where h.delay_ms is not null or h.outcome = 'cancelled'))
),
-- A run that would go again although somebody asked to cancel the job ends here.
decided as materialized (
  select
    h.job_id, h.run_lease, h.lease_id, h.http_status, h.age_us, h.headers_us, h.body_us, h.attempt, h.lane_id, h.priority,
    h.failures, h.uncounted, h.class, h.reason,
    -- Negative counts are snoozes. A release neither starts nor stops the clock.
    case when h.outcome = 'released' then h.uncounted_since when h.uncounted <> 0 then coalesce(h.uncounted_since, now()) end
      as uncounted_since,
    case when c.job_id is null then h.outcome else 'cancelled' end as outcome,
    case when c.job_id is null then h.error_code else 'cancelled' end as error_code,
    case when c.job_id is null then h.error_message else coalesce(c.reason, h.error_message, '') end as error_message,
    case when c.job_id is null then h.result end as result,
    case when c.job_id is null then h.delay_ms end as delay_ms
  from held h
  left join cancels c on c.job_id = h.job_id
),
ended as (
  insert into posthaste.attempt (
    job_id, run_lease, lease_id, started_at, outcome, class, ended_by, headers_us, body_us, attempt, http_status,
    error_code, error_message, result)
  select
    d.job_id, d.run_lease, d.lease_id, now() - d.age_us * interval '1 microsecond', d.outcome::posthaste.outcome,
    d.class::posthaste.class, $22::posthaste.ended_by, d.headers_us, d.body_us, d.attempt, d.http_status,
    d.error_code, d.error_message, d.result::json
  from decided d
  order by d.job_id, d.run_lease
  on conflict do nothing
  returning attempt.job_id, attempt.run_lease, attempt.outcome
),
-- What follows reads from ended, so that a loser has no follow-up and every seq is drawn with an xid.
again as materialized (
  select d.*
  from (select * from decided where decided.delay_ms is not null) d
  join ended e on e.job_id = d.job_id and e.run_lease = d.run_lease
),
readied as (
  insert into posthaste.ready (seq, job_id, run_lease, uncounted_since, lane_id, priority, failures, uncounted)
  select nextval('posthaste.seq'), a.job_id, a.run_lease + 1, a.uncounted_since, a.lane_id, a.priority, a.failures, a.uncounted
  from again a
  where a.delay_ms = 0
),
later as (
  insert into posthaste.scheduled (job_id, run_at, run_lease, uncounted_since, lane_id, priority, failures, uncounted)
  select a.job_id, now() + a.delay_ms * interval '1 millisecond', a.run_lease + 1, a.uncounted_since, a.lane_id, a.priority,
    a.failures, a.uncounted
  from again a
  where a.delay_ms > 0
),
buried as (
  insert into posthaste.dead_letter (
    job_id, created_at, run_lease, timeout_ms, attempt, max_attempts, priority, namespace, reason, queue, kind, endpoint,
    error_code, error_message, args, tags, metadata, headers)
  select
    j.job_id, j.created_at, d.run_lease, j.timeout_ms, d.attempt, j.max_attempts, j.priority, j.namespace, d.reason,
    l.queue, l.kind, l.endpoint, d.error_code, d.error_message, j.args, j.tags, j.metadata, j.headers
  from (select * from decided where decided.outcome = 'dead') d
  join ended e on e.job_id = d.job_id and e.run_lease = d.run_lease
  join posthaste.job j on j.job_id = d.job_id
  join posthaste.lane l on l.lane_id = j.lane_id
  on conflict on constraint dead_letter_pkey do nothing
),
granted as (
  delete from posthaste.cancel_request c
  using ended e
  where c.job_id = e.job_id and e.outcome in ('completed', 'cancelled', 'dead')
    and (select exists (select from posthaste.cancel_request))
),
-- Skip locked: a lease that a rescue holds is the rescue's to remove, and nobody waits here against the lock order.
drained as (
  delete from posthaste.lease
  where lease.ctid = any (array(select l.ctid from posthaste.lease l where l.lease_id = any ($23::bigint[]) for update skip locked))
)
select
  e.job_id,
  e.run_lease,
  -- Once a statement, and only when somebody waits for an end: a waiter holds, or waits for, the exclusive lock that
  -- this tries to share. Shared, so that two finalizes at once do not take each other for waiters.
  (select count(pg_notify('posthaste_done', p.ids))
   from (
     select string_agg(n.job_id::text, ',') as ids
     from (select x.job_id, row_number() over () / 350 as part from ended x) n
     group by n.part
   ) p
   where not pg_try_advisory_xact_lock_shared(28776, 2)) as notified
from ended e
