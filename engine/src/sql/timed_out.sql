-- timed out: runs whose deadline has passed, locked until they are ended; others take other rows. $1 at most so many, $2 the
-- time to compare with (null: the database's now), $3 only these jobs (null: all).
-- The first column is null for a run that has ended: its row is nobody's and goes.
with due as materialized (
  select w.*
  from posthaste.waiting w
  where w.deadline_at <= coalesce($2, now()) and ($3::bigint[] is null or w.job_id = any ($3))
  order by w.deadline_at
  limit $1
  for update skip locked
)
select
  (select 1 where not exists (
    select from posthaste.attempt a where a.job_id = d.job_id and a.run_lease = d.run_lease)) as live,
  d.job_id,
  d.run_lease,
  d.lease_id,
  d.nonce,
  now() as now,
  d.lane_id,
  d.priority,
  d.failures,
  d.uncounted,
  d.uncounted_since,
  j.max_attempts,
  d.http_status,
  (extract(epoch from now() - d.started_at) * 1000000)::bigint as age_us,
  d.headers_us,
  d.body_us,
  true as waits,
  exists (select from posthaste.cancel_request c where c.job_id = d.job_id) as cancel_requested,
  -- A suspended run is looked at by its deadline, until its hard end.
  case when d.need is null then d.deadline_at >= d.hard_at else d.hard_at <= coalesce($2, now()) end as at_hard_end,
  coalesce((select c.resumes from posthaste.continuation c where c.job_id = d.job_id), 0) as resumes,
  d.need,
  d.heartbeat_ms is not null as heartbeats,
  -- How many jobs it waits for, which a look at it reads.
  case when d.need is null then 0 else coalesce((
    select sum(cardinality(x.jobs)) from posthaste.wait x
    where x.job_id = d.job_id and x.run_lease = d.run_lease and x.met_at is null and not x.timed_out), 0) end::bigint as others
from due d
left join posthaste.job j on j.job_id = d.job_id
