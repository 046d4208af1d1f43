-- depth: available runs and lag by queue. $1 the most counted in a lane, $2 the most counted in all.
-- Lag goes by the first run in line of each lane's best priority: its first number was drawn when it was enqueued. A lane that
-- no endpoint takes, or a paused one, is stranded: more dispatchers would not help it, so it is counted and has no lag.
with counted as (
  select c.lane_id, count(*) as available
  from (
    select l.lane_id
    from posthaste.lane l
    cross join lateral (select from posthaste.ready r where r.lane_id = l.lane_id limit $1) r
    limit $2
  ) c
  group by c.lane_id
)
select
  l.queue,
  coalesce(sum(c.available), 0)::bigint as available,
  coalesce(sum(c.available) filter (where not taken.by_one), 0)::bigint as stranded,
  coalesce(max(extract(epoch from now() - coalesce(f.run_at, f.created_at))), 0)::float8 as lag_s
from posthaste.lane l
left join counted c on c.lane_id = l.lane_id
cross join lateral (
  select exists (
    select from posthaste.endpoint e
    where e.namespace = l.namespace and e.paused_at is null and e.name = coalesce(l.endpoint, (
      select k.endpoint from posthaste.endpoint_kind k
      where k.namespace = l.namespace and k.kind in (l.kind, '*') order by k.kind = '*' limit 1))
  ) as by_one
) taken
left join lateral (
  select j.run_at, j.created_at
  from (select r.job_id from posthaste.ready r where r.lane_id = l.lane_id order by r.priority, r.seq limit 1) r
  join posthaste.job j on j.job_id = r.job_id
) f on taken.by_one
group by l.queue
order by 2 desc, 1
limit 100
