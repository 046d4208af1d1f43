-- standing: where these jobs are, in order. $1 jobs. One snapshot, in which the run of a job that goes on is in a lease or waits.
-- The laterals with offset keep the planner from reading the view for all jobs first.
select v.state, r.lease_id, r.nonce, r.run_lease
from unnest($1::bigint[]) with ordinality as i (job_id, n)
left join lateral (
  select x.lease_id, x.nonce, x.run_lease
  from posthaste.running_run(i.job_id) x
  order by x.run_lease desc, x.waits desc
  limit 1
) r on true
left join lateral (select j.state from posthaste.jobs j where j.id = i.job_id offset 0) v on true
order by i.n
