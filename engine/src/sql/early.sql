-- early: what came for these jobs before its wait was known, oldest first. $1 jobs. Signals for an earlier run, which failed,
-- are for this one: their senders were told that they are kept.
select b.inbox_id, b.job_id, b.wait, b.digest, convert_from(b.payload, 'UTF8') as payload
from posthaste.inbox b
where b.job_id = any ($1) and b.why = 'early'
order by b.inbox_id
for update skip locked
