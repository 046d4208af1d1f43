-- endpoint_reports: what living dispatchers say of each endpoint.
select e.key as endpoint, e.value::text as report
from posthaste.dispatcher d
cross join lateral json_each(
  case when json_typeof(d.state -> 'endpoints') = 'object' then d.state -> 'endpoints' else '{}' end) e
where d.beat_at > now() - interval '15 seconds'
