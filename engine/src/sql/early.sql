-- early: what came for these jobs before its wait was known, oldest first. $1 jobs, $2 their runs. Signals for an earlier run,
-- which failed, are for this one: their senders were told that they are kept. One that names no wait was judged by nobody: where
-- a wait has expressions of its own it is left to a gateway (inbox_due).
select b.inbox_id, b.job_id, b.wait, b.digest, convert_from(b.payload, 'UTF8') as payload
from unnest($1::bigint[], $2::bigint[]) as i (job_id, run_lease)
join posthaste.inbox b on b.job_id = i.job_id and b.why = 'early'
where b.wait is not null or not exists (
  select from posthaste.wait w
  where w.job_id = i.job_id and w.run_lease = i.run_lease and w.cel is not null and w.met_at is null and not w.timed_out)
order by b.inbox_id
for update of b skip locked
