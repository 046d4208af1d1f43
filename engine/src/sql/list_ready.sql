-- list_ready: a page of the jobs that may start now, newest run first.
-- $1 queue, $2 kind, $3 tag (each or null), $4 below this seq, $5 at most so many jobs, $6 how many rows may be read.
-- `ready` is ordered within a lane and priority only. So each is read to the same depth, and what lies below the
-- highest place where one of them was cut short is left to the next page: there a neighbour may come first.
with scans as materialized (
  select l.lane_id, p.priority
  from posthaste.lane l
  cross join (values (1::smallint), (2::smallint), (3::smallint), (4::smallint)) as p (priority)
  where l.namespace = 1 and ($1::text is null or l.queue = $1) and ($2::text is null or l.kind = $2)
),
depth as materialized (
  select greatest(1, least($6 / greatest(count(*), 1), case when $3::text is null then $5 + 1 else $6 end)) as most
  from scans
),
found as materialized (
  select s.lane_id, s.priority, r.seq, r.job_id
  from scans s
  cross join lateral (
    select y.seq, y.job_id
    from posthaste.ready y
    where y.lane_id = s.lane_id and y.priority = s.priority and y.seq < $4
    order by y.seq desc
    limit (select most from depth)
  ) r
),
cut as materialized (
  select max(c.lowest) as key
  from (
    select min(f.seq) as lowest
    from found f
    group by f.lane_id, f.priority
    having count(*) >= (select most from depth)
  ) c
),
page as (
  select f.seq as key, f.job_id
  from found f
  where f.seq >= coalesce((select c.key from cut c), 0)
    and ($3::text is null or exists (select from posthaste.job j where j.job_id = f.job_id and $3 = any (j.tags)))
  order by f.seq desc
  limit $5
)
select p.key, p.job_id, c.key as cut_key
from cut c
left join page p on true
order by p.key desc
