-- log_deliveries: what came to a gateway. $1 ms ago, $2 jobs, $3 runs, $4 inbox ids, $5 bytes, $6 vias, $7 verdicts, $8 actions,
-- $9 reasons, $10 sources.
insert into posthaste.delivery (at, job_id, run_lease, inbox_id, bytes, via, verdict, action, reason, source)
select
  now() - i.ago_ms * interval '1 millisecond', i.job_id, i.run_lease, i.inbox_id, i.bytes,
  i.via::posthaste.delivery_via, i.verdict::posthaste.delivery_verdict, i.action, i.reason, i.source
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
  as i (ago_ms, job_id, run_lease, inbox_id, bytes, via, verdict, action, reason, source)
