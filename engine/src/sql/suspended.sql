-- suspended: those of these jobs' runs that are suspended and go on, locked in one order. $1 jobs. A run that another
-- transaction wakes is waited for, and then is not here.
select
  w.job_id,
  w.run_lease,
  w.lease_id,
  w.nonce,
  now() as now,
  w.lane_id,
  w.priority,
  w.failures,
  w.uncounted,
  w.uncounted_since,
  j.max_attempts,
  w.http_status,
  (extract(epoch from now() - w.started_at) * 1000000)::bigint as age_us,
  w.headers_us,
  w.body_us,
  true as waits,
  exists (select from posthaste.cancel_request c where c.job_id = w.job_id) as cancel_requested,
  coalesce((select c.resumes from posthaste.continuation c where c.job_id = w.job_id), 0) as resumes,
  w.need
from posthaste.waiting w
join posthaste.job j on j.job_id = w.job_id
where w.job_id = any ($1) and w.need is not null
  and not exists (select from posthaste.attempt a where a.job_id = w.job_id and a.run_lease = w.run_lease)
order by w.job_id
for update of w
