-- doctor stranded: kinds whose jobs may start and that no endpoint takes, most jobs first. $1 the most counted in a lane.
select l.kind, l.endpoint, sum(c.jobs)::bigint as jobs
from posthaste.lane l
cross join lateral (
  select count(*) as jobs from (select from posthaste.ready r where r.lane_id = l.lane_id limit $1) r
) c
where c.jobs > 0 and not exists (
  select from posthaste.endpoint e
  where e.namespace = l.namespace and e.name = coalesce(l.endpoint, (
    select k.endpoint from posthaste.endpoint_kind k
    where k.namespace = l.namespace and k.kind in (l.kind, '*') order by k.kind = '*' limit 1)))
group by l.kind, l.endpoint
order by 3 desc, l.kind
limit 20
