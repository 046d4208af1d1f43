-- list_deliveries: newest first. $1 a job or null, $2 a verdict or null, $3 below this delivery, $4 at most.
select
  d.delivery_id, d.at, d.job_id, d.run_lease, d.inbox_id, d.bytes, d.via::text as via, d.verdict::text as verdict, d.action, d.reason,
  d.source, exists (select from posthaste.inbox b where b.inbox_id = d.inbox_id) as kept
from posthaste.delivery d
where ($1::bigint is null or d.job_id = $1)
  and ($2::text is null or d.verdict = $2::posthaste.delivery_verdict)
  and d.delivery_id < $3
order by d.delivery_id desc
limit $4
