-- job: jobs as read, from the view that says where each is. $1 ids, $2 whether their attempts are wanted.
-- The lateral with offset keeps the planner from reading the view for all jobs first.
select
  v.id,
  v.kind,
  v.queue,
  v.endpoint,
  v.state,
  v.priority,
  v.attempt,
  v.max_attempts,
  v.run_lease,
  v.args::text as args,
  v.result::text as result,
  v.error_code,
  v.error_message,
  v.error_at,
  v.progress::text as progress,
  v.tags,
  v.metadata::text as metadata,
  v.run_at,
  v.created_at,
  v.finished_at,
  case when $2 then (
    select json_agg(json_build_object(
      'run_lease', a.run_lease,
      'attempt', a.attempt,
      'outcome', a.outcome,
      'class', a.class,
      'http_status', a.http_status,
      'started_at', a.started_at,
      'finished_at', a.finished_at,
      'timings_ms', json_strip_nulls(json_build_object('headers', round(a.headers_us / 1000.0, 3), 'body', round(a.body_us / 1000.0, 3))),
      'error', case when a.error_code is not null then json_build_object(
        'code', a.error_code, 'message', coalesce(a.error_message, ''), 'at', a.finished_at) end
    ) order by a.run_lease desc)::text
    from (
      select x.*
      from posthaste.attempt x
      where x.job_id = i.job_id and x.outcome <> 'redriven'
      order by x.run_lease desc
      limit 50
    ) a
  ) end as attempts
from unnest($1::bigint[]) with ordinality as i (job_id, n)
cross join lateral (select * from posthaste.jobs j where j.id = i.job_id offset 0) v
order by i.n
