-- doctor fleet: the dispatchers, the leases of those that are gone, and the ranges ahead of the job ids.
select
  (select count(*) from posthaste.dispatcher where beat_at > now() - interval '15 seconds') as alive,
  -- One that holds nothing is history after five minutes; its row goes after an hour.
  (select count(*) from posthaste.dispatcher d
    where d.beat_at <= now() - interval '15 seconds'
      and (d.beat_at > now() - interval '5 minutes'
        or exists (select from posthaste.lease l where l.dispatcher_id = d.dispatcher_id))) as silent,
  (select count(*) from posthaste.lease l
    where not exists (
      select from posthaste.dispatcher d
      where d.dispatcher_id = l.dispatcher_id and d.beat_at > now() - interval '15 seconds')) as orphaned_leases,
  (select count(*) from posthaste.job_range r where r.lower_id > s.last_value) as ranges_ahead,
  (select count(*) from posthaste.job_range) as ranges
from posthaste.seq s
