-- claim: hand available runs to one dispatcher, as one lease.
-- $1 lease id, $2 dispatcher, $3 nonce, $4 lease ms; parallel arrays, in the order of scanning: $5 lanes, $6 priorities,
-- $7 floors; $8 at most so many; $9, $10, $11 the lanes, priorities and floors that have a candidate floor waiting.
-- The shape is pinned by tests/it/plan.rs: nested index scans that stop at the limit, whatever the statistics say.
with candidates as (
  select found.tid
  from unnest($5::integer[], $6::smallint[], $7::bigint[]) as scan (lane_id, priority, floor)
  cross join lateral (
    select r.ctid as tid
    from posthaste.ready r
    where r.lane_id = scan.lane_id and r.priority = scan.priority and r.seq > scan.floor
    order by r.seq
    limit $8
    for update skip locked
  ) found
  limit $8
),
claimed as materialized (
  delete from posthaste.ready
  where ready.ctid = any (array(select tid from candidates))
  returning seq, job_id, run_lease, uncounted_since, lane_id, priority, failures, uncounted
),
-- Belt and braces: a run that has ended is not started again, whoever left its row behind. Nobody can have ended a first
-- run whose row is here. A scalar sub-select: `not exists` was seen to read all attempts, by a join or by a hash.
fresh as materialized (
  select c.*
  from claimed c
  where c.run_lease = 1 or (
    select true from posthaste.attempt a
    where a.job_id = c.job_id and a.run_lease = c.run_lease
    limit 1) is null
),
leased as (
  insert into posthaste.lease (lease_id, dispatcher_id, nonce, expires_at, job_ids, run_leases, failures, uncounted)
  select $1, $2, $3, now() + $4 * interval '1 millisecond', array_agg(f.job_id), array_agg(f.run_lease), array_agg(f.failures),
    array_agg(f.uncounted)
  from fresh f
  having count(*) > 0
)
-- claimed_at to lows are the same in every row; a sub-select computes them once.
select
  f.seq,
  f.job_id,
  f.run_lease,
  f.uncounted_since,
  f.lane_id,
  f.priority, f.failures, f.uncounted,
  j.created_at, j.run_at,
  j.expires_at,
  j.timeout_ms,
  j.max_attempts,
  j.args,
  j.tags,
  j.metadata,
  j.headers,
  j.trace,
  case when f.failures > 0 then (
    select count(*) from posthaste.attempt a
    where a.job_id = f.job_id and a.class = 'responded' and a.outcome = 'retried') else 0 end as known_failures,
  -- As the view has it. Nothing can be known of a job before its first run.
  case when f.run_lease > 1 then (
    select json_build_object('percent', p.percent, 'message', p.message, 'metadata', coalesce(p.metadata, '{}'),
      'at', to_char(p.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    from posthaste.progress p where p.job_id = f.job_id) end as progress,
  case when f.run_lease > 1 then (
    select array[c.steps::text, c.resumes::text, c.resume_timed_out::text, c.resume_name, c.resume_payload::text]
    from posthaste.continuation c where c.job_id = f.job_id) end as continuation,
  now() as claimed_at,
  (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint) as snapshot_xmin,
  (select pg_current_xact_id_if_assigned()::text::bigint) as xid,
  array(
    select (
      select r.seq from posthaste.ready r
      where r.lane_id = w.lane_id and r.priority = w.priority and r.seq > w.floor
      order by r.seq limit 1)
    from unnest($9::integer[], $10::smallint[], $11::bigint[]) with ordinality as w (lane_id, priority, floor, n)
    order by w.n) as lows,
  j.callback ->> 'timeout_ms' as callback_timeout_ms
from fresh f
join posthaste.job j on j.job_id = f.job_id
