-- waiting on: what is known of runs that go on, and the callbacks that they wait for. $1 jobs, $2 runs, $3 leases, $4
-- nonces. As in held, one snapshot, and each look-up on its key.
select
  i.n,
  i.job_id,
  l.kind,
  l.queue,
  (select e.name from posthaste.endpoint e
   where e.namespace = l.namespace and e.name = coalesce(l.endpoint, (
     select k.endpoint from posthaste.endpoint_kind k
     where k.namespace = l.namespace and k.kind in (l.kind, '*')
     order by k.kind = '*' limit 1))) as endpoint,
  (coalesce(w.failures, h.failures) + 1)::smallint as attempt,
  j.max_attempts,
  coalesce(j.metadata::text, '{}') as metadata,
  coalesce(j.tags, '{}') as tags,
  j.callback ->> 'cel' as job_cel,
  -- One that a heartbeat parked while its POST is open is not: its answer is still to come.
  w.job_id is not null and (w.need is not null or w.http_status is not null or h.failures is null) as parked,
  w.need is not null as suspended,
  coalesce(open.names, '{}') as names,
  coalesce(open.cels, '{}') as cels,
  coalesce(open.signatures, '{}') as signatures,
  coalesce(open.met, '{}') as met
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[]) with ordinality as i (job_id, run_lease, lease_id, nonce, n)
join posthaste.job j on j.job_id = i.job_id
join posthaste.lane l on l.lane_id = j.lane_id
left join lateral (
  select p.job_id, p.run_lease, p.failures, p.need, p.http_status
  from posthaste.waiting p
  where p.job_id = i.job_id and p.run_lease = i.run_lease and p.lease_id = i.lease_id and p.nonce = i.nonce
  limit 1
) w on true
left join lateral (
  select y.failures[array_position(y.job_ids, i.job_id)] as failures
  from posthaste.lease y
  where y.lease_id = i.lease_id and y.nonce = i.nonce
    and y.run_leases[array_position(y.job_ids, i.job_id)] = i.run_lease
  limit 1
) h on true
left join lateral (
  select
    array_agg(x.name order by x.n) filter (where x.met_at is null) as names,
    array_agg(x.cel::text order by x.n) filter (where x.met_at is null) as cels,
    array_agg(x.signature::text order by x.n) filter (where x.met_at is null) as signatures,
    array_agg(x.digest) filter (where x.met_at is not null) as met
  from posthaste.wait x
  where w.need is not null and x.job_id = w.job_id and x.run_lease = w.run_lease and x.awaits = 'callback'
    and not x.timed_out
) open on true
where coalesce(w.failures, h.failures) is not null
  and not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)
order by i.n
