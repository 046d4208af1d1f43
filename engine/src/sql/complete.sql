-- complete: what a finalize does, for callbacks that complete runs which a lease or a wait holds. It knows by itself what the
-- caller of a finalize must say, so that nothing is looked up first, and looks for what a wait leaves only where a run
-- waited. Whoever adds to what follows an end adds it to both; a test compares what they leave. Who is told is finalize's text.
-- $1–$8 one element per run, at most one per run: job, run, lease, nonce, action, digest, result, whether expressions were
-- asked; $9 lanes of endpoints that have none. Runs that are not returned are left for a finalize, or held by nobody.
with held as materialized (
  -- Once for all its runs: to find a lease again costs more than to find a run in it.
  select * from posthaste.lease l where l.lease_id = any ($3)
),
input as (
  select
    i.job_id, i.run_lease, i.lease_id, i.action, i.digest, i.result, w.headers_us, w.body_us, w.http_status,
    w.failures is not null as waits,
    coalesce(w.started_at, l.claimed_at) as started_at,
    least(coalesce(w.failures, l.failures) + 1, 32767)::smallint as attempt
  from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::bytea[], $7::text[], $8::boolean[])
    as i (job_id, run_lease, lease_id, nonce, action, digest, result, judged)
  -- The limits keep each look-up on its key, and the planner from taking a few runs for many.
  cross join lateral (select x.lane_id, x.callback from posthaste.job x where x.job_id = i.job_id limit 1) j
  left join lateral (
    select p.lane_id, p.started_at, p.headers_us, p.body_us, p.http_status, p.failures
    from posthaste.waiting p
    where p.job_id = i.job_id and p.run_lease = i.run_lease and p.lease_id = i.lease_id and p.nonce = i.nonce
    limit 1
  ) w on true
  left join lateral (
    select h.claimed_at, h.failures[h.at] as failures
    from (
      select y.*, array_position(y.job_ids, i.job_id) as at
      from held y
      where w.failures is null and y.lease_id = i.lease_id and y.nonce = i.nonce
      limit 1
    ) h
    where h.run_leases[h.at] = i.run_lease
  ) l on true
  where coalesce(w.failures, l.failures) is not null
    and (i.judged or (j.callback ->> 'cel' is null and coalesce(w.lane_id, j.lane_id) in (select unnest($9::integer[]))))
),
ended as (
  insert into posthaste.attempt (
    job_id, run_lease, lease_id, started_at, outcome, class, ended_by, headers_us, body_us, attempt, http_status, result,
    action, digest)
  select
    i.job_id, i.run_lease, i.lease_id, i.started_at, 'completed', 'responded', 'callback', i.headers_us, i.body_us,
    i.attempt, i.http_status, i.result::json, i.action::posthaste.callback_action, i.digest
  from input i
  order by i.job_id, i.run_lease -- the lock order of a finalize
  on conflict do nothing
  returning attempt.job_id, attempt.run_lease, attempt.outcome
),
granted as (
  delete from posthaste.cancel_request
  where cancel_request.job_id = any (array(
    select c.job_id
    from posthaste.cancel_request c
    cross join lateral (select from ended e where e.job_id = c.job_id limit 1) x
    where c.job_id = any ($1)))
),
-- A `case`, so that nothing is hashed for runs that did not wait.
waited as (
  select i.job_id, i.run_lease
  from input i
  where case when i.waits then (i.job_id, i.run_lease) in (select e.job_id, e.run_lease from ended e) end
),
-- Skip locked, as in a finalize.
woken as (
  delete from posthaste.waiting
  where waiting.ctid = any (array(
    select p.ctid from waited w
    join posthaste.waiting p on p.job_id = w.job_id and p.run_lease = w.run_lease
    for update of p skip locked))
),
unawaited as (
  delete from posthaste.wait
  where wait.ctid = any (array(
    select p.ctid from waited w
    join posthaste.wait p on p.job_id = w.job_id and p.run_lease = w.run_lease
    for update of p skip locked))
)
-- {{told}}
