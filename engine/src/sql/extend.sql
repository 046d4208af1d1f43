-- extend: heartbeats move the deadlines of parked runs that go on, never past their hard end.
-- $1 jobs, $2 runs, $3 leases, $4 nonces, $5 ms from now (null: the same time-out again); at most one per job, sorted by job.
with input as (
  select
    unnest($1::bigint[]) as job_id,
    unnest($2::bigint[]) as run_lease,
    unnest($3::bigint[]) as lease_id,
    unnest($4::uuid[]) as nonce,
    unnest($5::bigint[]) as extend_ms
),
-- Locked in one order. A time-out that holds a row is waited for: then the row is gone.
alive as materialized (
  select w.job_id, w.run_lease, i.extend_ms
  from input i
  join posthaste.waiting w
    on w.job_id = i.job_id and w.run_lease = i.run_lease and w.lease_id = i.lease_id and w.nonce = i.nonce
  where not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)
  order by w.job_id
  for update of w
),
moved as (
  update posthaste.waiting w
  -- A suspended run is looked at when its waits say; nobody's sign of life moves that.
  set deadline_at = case when w.need is null then least(
    now() + coalesce(a.extend_ms, w.heartbeat_ms, w.callback_ms) * interval '1 millisecond', w.hard_at)
    else w.deadline_at end
  from alive a
  where w.job_id = a.job_id and w.run_lease = a.run_lease
  returning w.job_id, w.deadline_at
)
select
  m.job_id,
  m.deadline_at,
  exists (select from posthaste.cancel_request c where c.job_id = m.job_id) as cancel_requested
from moved m
