-- standing: where these jobs are, in order, and whether one of the last 64 runs of each was ended or woken by this. $1 jobs, $2
-- digests. One snapshot, in which the run of a job that goes on is in a lease or waits. The lateral with offset keeps the planner
-- from reading the view for all jobs first.
select
  v.state,
  r.lease_id,
  r.nonce,
  r.run_lease,
  exists (
    select from (
      select a.digest from posthaste.attempt a where a.job_id = i.job_id order by a.run_lease desc limit 64) l
    where l.digest = i.digest)
  or exists (
    select from posthaste.continuation c, unnest(c.heard) as h (heard)
    where c.job_id = i.job_id and substr(h.heard, 9) = i.digest) as applied
from unnest($1::bigint[], $2::bytea[]) with ordinality as i (job_id, digest, n)
left join lateral (
  select x.lease_id, x.nonce, x.run_lease
  from posthaste.running_run(i.job_id) x
  order by x.run_lease desc, x.waits desc
  limit 1
) r on true
left join lateral (select j.state from posthaste.jobs j where j.id = i.job_id offset 0) v on true
order by i.n
