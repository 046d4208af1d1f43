-- told: what the losers of a callback are told. $1 jobs, $2 runs, $3 leases, $4 actions, $5 digests.
-- The lateral with offset keeps the planner from reading the view for all jobs first.
select
  i.n,
  v.state,
  v.run_lease as newest_run,
  a.lease_id is not distinct from i.lease_id as same_lease,
  (a.action::text is not distinct from i.action and a.digest = i.digest)
    or coalesce(int8send(i.run_lease) || i.digest = any (c.heard), false) as same_callback,
  a.outcome::text as outcome,
  a.ended_by::text as ended_by,
  a.action::text as action
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[])
  with ordinality as i (job_id, run_lease, lease_id, action, digest, n)
left join lateral (
  select x.lease_id, x.action, x.digest, x.outcome, x.ended_by
  from posthaste.attempt x
  where x.job_id = i.job_id and x.run_lease = i.run_lease
  limit 1
) a on true
left join posthaste.continuation c on c.job_id = i.job_id
left join lateral (select j.state, j.run_lease from posthaste.jobs j where j.id = i.job_id offset 0) v on true
order by i.n
