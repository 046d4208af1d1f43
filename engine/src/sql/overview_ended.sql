-- overview ended: the runs that ended last, newest first, among the newest 20,000 ids. $1 how many.
select
  a.job_id,
  a.run_lease,
  l.kind,
  l.queue,
  a.attempt::integer as attempt,
  a.outcome::text as outcome,
  a.http_status::integer as http_status,
  a.error_code,
  left(a.error_message, 200) as error_message,
  left(a.result::text, 200) as result,
  (extract(epoch from a.finished_at - a.started_at) * 1000)::float8 as took_ms,
  a.finished_at
from posthaste.attempt a
join posthaste.job j on j.job_id = a.job_id
join posthaste.lane l on l.lane_id = j.lane_id
where a.job_id > (select last_value - 20000 from posthaste.seq)
  and j.job_id > (select last_value - 20000 from posthaste.seq)
order by a.finished_at desc, a.job_id desc
limit $1
