-- list: a page of jobs, newest first, from the table that holds the state asked for (available: list_ready).
-- $1 state or null, $2 queue, $3 kind, $4 tag (each or null), $5 below this id, $6 at most so many jobs, $7 how many
-- rows may be read. Branches of other states cost nothing: their condition is known before they begin.
with lanes as materialized (
  select l.lane_id
  from posthaste.lane l
  where l.namespace = 1 and ($2::text is null or l.queue = $2) and ($3::text is null or l.kind = $3)
),
scanned as materialized (
  (select j.job_id, true as fits
   from posthaste.job j
   where $1::text is null and j.job_id < $5
   order by j.job_id desc
   limit $7)
  union all
  (select s.job_id, true
   from posthaste.scheduled s
   where $1 = 'scheduled' and s.job_id < $5
   order by s.job_id desc
   limit $7)
  union all
  (select h.job_id, true
   from posthaste.lease l
   cross join lateral unnest(l.job_ids) as h (job_id)
   where $1 = 'running' and h.job_id < $5
   order by h.job_id desc
   limit $7)
  union all
  (select w.job_id, true
   from posthaste.waiting w
   where $1 = 'waiting' and w.job_id < $5
   order by w.job_id desc
   limit $7)
  union all
  -- Ends are found by walking all attempts backwards; those that are no such end only use up the budget.
  (select a.job_id, a.outcome::text = $1
   from posthaste.attempt a
   where $1 in ('completed', 'cancelled') and a.job_id < $5
   order by a.job_id desc, a.run_lease desc
   limit $7)
  union all
  (select d.job_id, true
   from posthaste.dead_letter d
   where $1 = 'dead' and d.job_id < $5
   order by d.job_id desc
   limit $7)
),
cut as materialized (
  select case when count(*) >= $7 then min(s.job_id) end as key
  from scanned s
),
page as (
  select s.job_id
  from scanned s
  where s.fits and (
    ($2::text is null and $3::text is null and $4::text is null)
    or exists (
      select from posthaste.job j
      where j.job_id = s.job_id
        and j.lane_id in (select lane_id from lanes)
        and ($4::text is null or $4 = any (j.tags))))
  group by s.job_id
  order by s.job_id desc
  limit $6
)
select p.job_id as key, p.job_id, c.key as cut_key
from cut c
left join page p on true
order by p.job_id desc
