-- ended: which of these jobs have ended, or are no longer known. $1 ids.
select i.job_id
from unnest($1::bigint[]) as i (job_id)
left join lateral (
  select a.outcome
  from posthaste.attempt a
  where a.job_id = i.job_id
  order by a.run_lease desc
  limit 1
) last on true
where last.outcome in ('completed', 'cancelled', 'dead')
  or (last.outcome is null and not exists (select from posthaste.job j where j.job_id = i.job_id))
