-- explain: everything that decides whether a job may run now. $1 id, $2 the most runs counted ahead of it.
select
  v.state,
  v.kind,
  v.endpoint as named,
  v.run_at,
  v.finished_at,
  route.endpoint,
  e.name is not null as endpoint_exists,
  e.paused_at,
  e.paused_reason,
  held.dispatcher_id,
  held.host,
  held.claimed_at,
  last.run_lease as last_run,
  last.attempt as last_attempt,
  last.outcome as last_outcome,
  last.class as last_class,
  last.error_code as last_code,
  last.error_message as last_message,
  -- Where the job goes on, its own number is that of its counted failures.
  last.attempt between 1 and v.attempt as last_counted,
  w.parked_at,
  case when w.need is null then w.deadline_at else least(w.hard_at, awaited.deadline_at) end as deadline_at,
  w.need::bigint as need,
  awaited.names as awaited,
  exists (select from posthaste.cancel_request c where c.job_id = v.id) as cancel_requested,
  fleet.alive,
  fleet.states,
  case when v.state = 'available' then (
    select count(*)
    from (
      select
      from (
        select r.priority, r.seq from posthaste.ready r
        where r.lane_id = j.lane_id and r.priority = j.priority and r.seq = j.job_id
        union all
        select r.priority, r.seq from posthaste.ready r where r.job_id = j.job_id and r.seq <> r.job_id
      ) mine
      join posthaste.ready r on r.lane_id = j.lane_id and (r.priority, r.seq) < (mine.priority, mine.seq)
      limit $2
    ) a
  ) end as ahead
from posthaste.jobs v
join posthaste.job j on j.job_id = v.id
left join lateral (
  select coalesce(v.endpoint, (
    select k.endpoint from posthaste.endpoint_kind k
    where k.namespace = 1 and k.kind in (v.kind, '*') order by k.kind = '*' limit 1)) as endpoint
) route on true
left join posthaste.endpoint e on e.namespace = 1 and e.name = route.endpoint
left join posthaste.waiting w on w.job_id = v.id and v.state = 'waiting'
left join lateral (
  select
    array_agg(concat(x.awaits, ' ', x.name, case when x.met_at is not null then ' (met)' when x.timed_out then ' (timed out)' end)
      order by x.n) as names,
    min(x.deadline_at) filter (where x.met_at is null and not x.timed_out) as deadline_at
  from posthaste.wait x
  where w.need is not null and x.job_id = w.job_id and x.run_lease = w.run_lease
) awaited on true
left join lateral (
  select l.dispatcher_id, l.claimed_at, d.host
  from posthaste.lease l
  left join posthaste.dispatcher d on d.dispatcher_id = l.dispatcher_id
  where v.state = 'running' and v.id = any (l.job_ids)
  order by l.claimed_at desc limit 1
) held on true
left join lateral (
  select a.run_lease, a.attempt, a.outcome::text as outcome, a.class::text as class, a.error_code, a.error_message
  from posthaste.attempt a
  where a.job_id = v.id
  order by a.run_lease desc limit 1
) last on last.outcome = v.state or last.outcome not in ('completed', 'cancelled', 'dead', 'redriven') -- else of another round
left join lateral (
  -- A dispatcher beats every few seconds; 15 s of silence is when others begin to think it dead.
  select count(*) as alive, array_agg((d.state -> 'endpoints' -> route.endpoint)::text) as states
  from posthaste.dispatcher d
  where d.beat_at > now() - interval '15 seconds'
) fleet on true
where v.id = $1
