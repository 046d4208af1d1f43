-- droppable range: the ranges whose ids are all used, that are old enough, and have nothing waiting or
-- running.
-- $1 seconds that ended jobs are kept. Whether its jobs have ended is asked of its own partitions, afterwards.
select g.lower_id
from posthaste.job_range g
where g.upper_id <= (select s.last_value from posthaste.seq s)
  and g.created_at < now() - $1::bigint * interval '1 second'
  and not exists (select from posthaste.scheduled s where s.job_id >= g.lower_id and s.job_id < g.upper_id)
  and not exists (select from posthaste.ready r where r.seq = r.job_id and r.job_id >= g.lower_id and r.job_id < g.upper_id)
  and not exists (select from posthaste.ready r where r.seq <> r.job_id and r.job_id >= g.lower_id and r.job_id < g.upper_id)
  and not exists (
    select from posthaste.lease l, unnest(l.job_ids) as held (job_id)
    where held.job_id >= g.lower_id and held.job_id < g.upper_id)
  and not exists (select from posthaste.parked w where w.job_id >= g.lower_id and w.job_id < g.upper_id)
order by g.lower_id
