-- overview queues: what stands where now, by queue. For people: it reads every such row.
with counted as (
  select r.lane_id, count(*) as available, 0::bigint as scheduled, 0::bigint as running, 0::bigint as waiting
  from posthaste.ready r group by r.lane_id
  union all
  select s.lane_id, 0, count(*), 0, 0 from posthaste.scheduled s group by s.lane_id
  union all
  select j.lane_id, 0, 0, count(*), 0
  from posthaste.lease e
  cross join lateral unnest(e.job_ids, e.run_leases) as h (job_id, run_lease)
  join posthaste.job j on j.job_id = h.job_id
  where not exists (
    select from posthaste.attempt a where a.job_id = h.job_id and a.run_lease = h.run_lease)
    and not exists (
      select from posthaste.waiting w where w.job_id = h.job_id and w.run_lease = h.run_lease)
  group by j.lane_id
  union all
  select w.lane_id, 0, 0, 0, count(*) from posthaste.parked w group by w.lane_id
)
select
  l.queue,
  sum(coalesce(c.available, 0))::bigint as available,
  sum(coalesce(c.scheduled, 0))::bigint as scheduled,
  sum(coalesce(c.running, 0))::bigint as running,
  sum(coalesce(c.waiting, 0))::bigint as waiting
from posthaste.lane l
left join counted c on c.lane_id = l.lane_id
where l.namespace = 1
group by l.queue
order by l.queue
limit 50
