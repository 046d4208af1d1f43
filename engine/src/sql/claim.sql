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
-- Belt and braces: a run that has ended is not started again, whoever left its row behind.
fresh as materialized (
  select c.*
  from claimed c
  where not exists (select from posthaste.attempt a where a.job_id = c.job_id and a.run_lease = c.run_lease)
),
leased as (
  insert into posthaste.lease (lease_id, dispatcher_id, nonce, expires_at, job_ids, run_leases, failures, uncounted)
  select $1, $2, $3, now() + $4 * interval '1 millisecond', array_agg(f.job_id), array_agg(f.run_lease), array_agg(f.failures),
    array_agg(f.uncounted)
  from fresh f
  having count(*) > 0
)
select
  f.seq,
  f.job_id,
  f.run_lease,
  f.uncounted_since,
  f.lane_id,
  f.priority,
  f.failures,
  f.uncounted,
  (extract(epoch from now() - f.uncounted_since) * 1000)::bigint as uncounted_for_ms,
  j.created_at,
  j.timeout_ms,
  j.max_attempts,
  j.args::text as args,
  j.tags,
  j.metadata::text as metadata,
  j.headers::text as headers,
  j.trace,
  coalesce(j.expires_at <= now(), false) as expired,
  (extract(epoch from now() - coalesce(j.run_at, j.created_at)) * 1000000)::bigint as age_us,
  case when row_number() over () = 1 then pg_snapshot_xmin(pg_current_snapshot())::text::bigint end as snapshot_xmin,
  case when row_number() over () = 1 then pg_current_xact_id_if_assigned()::text::bigint end as xid,
  case when row_number() over () = 1 then array(
    select (
      select r.seq from posthaste.ready r
      where r.lane_id = w.lane_id and r.priority = w.priority and r.seq > w.floor
      order by r.seq limit 1)
    from unnest($9::integer[], $10::smallint[], $11::bigint[]) with ordinality as w (lane_id, priority, floor, n)
    order by w.n) end as lows,
  case when f.failures > 0 then (
    select count(*) from posthaste.attempt a
    where a.job_id = f.job_id and a.class = 'responded' and a.outcome = 'retried') else 0 end as known_failures
from fresh f
join posthaste.job j on j.job_id = f.job_id
