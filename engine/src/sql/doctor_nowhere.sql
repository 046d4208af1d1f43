-- doctor nowhere: jobs among the newest 100,000 ids that are neither ready, scheduled, parked, held by a lease nor ended.
-- One snapshot, so a job that moves is seen in exactly one place. Must find nothing.
with newest as materialized (
  select j.job_id
  from posthaste.job j
  where j.job_id > (select last_value - 100000 from posthaste.seq)
),
held as materialized (
  select distinct unnest(l.job_ids) as job_id
  from posthaste.lease l
),
last_run as materialized (
  select distinct on (a.job_id) a.job_id, a.outcome
  from posthaste.attempt a
  where a.job_id > (select last_value - 100000 from posthaste.seq)
  order by a.job_id, a.run_lease desc
)
select n.job_id
from newest n
where not exists (select from posthaste.ready r where r.job_id = n.job_id)
  and not exists (select from posthaste.scheduled s where s.job_id = n.job_id)
  and not exists (select from held h where h.job_id = n.job_id)
  and not exists (select from posthaste.parked w where w.job_id = n.job_id)
  and not exists (
    select from last_run a
    where a.job_id = n.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
order by n.job_id
limit 100
