-- held: the runs that callbacks name, from the wait or the lease that holds them. $1 jobs, $2 runs, $3 leases, $4 nonces.
-- One snapshot, in which a run that is being parked is in one of them. The limits keep each look-up on its key.
select
  i.n,
  now() as now,
  coalesce(w.lane_id, j.lane_id) as lane_id,
  coalesce(w.priority, j.priority) as priority,
  coalesce(w.failures, l.failures) as failures,
  coalesce(w.uncounted, l.uncounted) as uncounted,
  w.uncounted_since,
  j.max_attempts,
  w.http_status,
  (extract(epoch from now() - coalesce(w.started_at, l.claimed_at)) * 1000000)::bigint as age_us,
  w.headers_us,
  w.body_us,
  w.job_id is not null as waits,
  exists (select from posthaste.cancel_request c where c.job_id = i.job_id) as cancel_requested,
  j.callback ->> 'cel' is not null as has_cel
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[]) with ordinality as i (job_id, run_lease, lease_id, nonce, n)
join posthaste.job j on j.job_id = i.job_id
left join lateral (
  select p.*
  from posthaste.waiting p
  where p.job_id = i.job_id and p.run_lease = i.run_lease and p.lease_id = i.lease_id and p.nonce = i.nonce
  limit 1
) w on true
left join lateral (
  select h.claimed_at, h.failures[h.at] as failures, h.uncounted[h.at] as uncounted
  from (
    select y.*, array_position(y.job_ids, i.job_id) as at
    from posthaste.lease y
    where w.job_id is null and y.lease_id = i.lease_id and y.nonce = i.nonce
    limit 1
  ) h
  where h.run_leases[h.at] = i.run_lease
) l on true
where coalesce(w.failures, l.failures) is not null
  and not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)
