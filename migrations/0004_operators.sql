-- 0004 operators: cancel, and the views people read.

-- The finalize, for SQL. Its text is engine/src/sql/finalize.sql, the one that the engine prepares too.
create function posthaste.finalize_v1(
  bigint[], bigint[], bigint[], uuid[], text[], text[], smallint[], bigint[], integer[], integer[], smallint[], text[], text[], text[],
  bigint[], bigint[], text[], bigint[], integer[], smallint[], smallint[], smallint[], timestamptz[], text, bigint[]
) returns table (job_id bigint, run_lease bigint, notified bigint)
language plpgsql as $finalize$
#variable_conflict use_column
begin
  return query
{{finalize_v1}};
end $finalize$;

-- Ends one run that the caller holds: it took its row away in this transaction, or names its lease.
create function posthaste.end_run(
  p_job bigint, p_run bigint, p_lease bigint, p_nonce uuid, p_outcome text, p_code text, p_message text, p_attempt integer, p_by text
) returns boolean
language sql as $$
  select count(*) = 1 from posthaste.finalize_v1(
    array[p_job], array[p_run], array[p_lease], array[p_nonce], array[p_outcome], array[null::text], array[null::smallint], array[null::bigint],
    array[null::integer], array[null::integer], array[p_attempt::smallint], array[null::text], array[p_code], array[p_message],
    array[p_job], array[p_run], array[p_code], array[null::bigint], array[null::integer], array[null::smallint],
    array[null::smallint], array[null::smallint], array[null::timestamptz], p_by, array[]::bigint[])
$$;

-- Takes a run that has not started away from ready or scheduled, so that nobody else can start or end it.
-- Returns its number and the attempts used; no row: it is not there (now).
create function posthaste.take_unstarted(p_job bigint) returns table (run_lease bigint, failures integer)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
    delete from posthaste.ready r using posthaste.job j
    where j.job_id = p_job and r.lane_id = j.lane_id and r.priority = j.priority and r.seq = j.job_id
    returning r.run_lease, r.failures::integer;
  if found then return; end if;
  return query delete from posthaste.ready r where r.job_id = p_job and r.seq <> r.job_id returning r.run_lease, r.failures::integer;
  if found then return; end if;
  return query delete from posthaste.scheduled s where s.job_id = p_job returning s.run_lease, s.failures::integer;
end $$;

-- The lease and run that hold a job now, if one does: in a lease, and that run has not ended.
create function posthaste.running_run(p_job bigint) returns table (lease_id bigint, nonce uuid, run_lease bigint, attempt integer)
language sql stable as $$
  select l.lease_id, l.nonce, l.run_leases[array_position(l.job_ids, p_job)],
    l.failures[array_position(l.job_ids, p_job)] + 1
  from posthaste.lease l
  where p_job = any (l.job_ids)
    and not exists (
      select from posthaste.attempt a
      where a.job_id = p_job and a.run_lease = l.run_leases[array_position(l.job_ids, p_job)])
$$;

-- Cancels a job: at once when it is not running; a running one is asked to stop (force ends it at once).
-- Returns the state after: cancelled, running (asked), or the state in which it had already ended.
create function posthaste.cancel(id bigint, reason text default null, force boolean default false) returns text
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_variable
declare
  v_run record;
  v_last text;
  v_reason text := left(regexp_replace(reason, '[[:cntrl:]]', ' ', 'g'), 1000);
begin
  if not exists (select from job j where j.job_id = cancel.id) then
    raise exception using errcode = 'PH404', message = 'no job ' || coalesce(cancel.id::text, 'null');
  end if;
  -- A job that is moving (promoted, claimed, retried) while we look is not where we looked: look again.
  for turn in 1..20 loop
    select t.run_lease, t.failures into v_run from take_unstarted(cancel.id) t;
    if found then
      perform end_run(cancel.id, v_run.run_lease, null, null, 'cancelled', 'cancelled', coalesce(v_reason, ''), v_run.failures, 'producer');
      return 'cancelled';
    end if;
    select r.* into v_run from running_run(cancel.id) r order by r.run_lease desc limit 1;
    if found and force then
      if end_run(cancel.id, v_run.run_lease, v_run.lease_id, v_run.nonce, 'cancelled', 'cancelled', coalesce(v_reason, ''), v_run.attempt, 'operator') then
        -- For the dispatcher, which drops its open POST; the sweep forgets it.
        insert into cancel_request (job_id, reason) values (cancel.id, v_reason) on conflict do nothing;
        perform pg_notify('posthaste_cancel', cancel.id::text);
        return 'cancelled';
      end if;
    elsif found then
      insert into cancel_request (job_id, reason) values (cancel.id, v_reason) on conflict do nothing;
      perform pg_notify('posthaste_cancel', cancel.id::text);
      return 'running';
    end if;
    select a.outcome::text into v_last from attempt a where a.job_id = cancel.id order by a.run_lease desc limit 1;
    if v_last in ('completed', 'cancelled', 'dead') then
      return v_last;
    end if;
  end loop;
  raise exception using errcode = '40001', message = 'job ' || cancel.id || ' kept moving while it was being cancelled; try again';
end $$;
comment on function posthaste.cancel is 'Cancels a job. A running one is asked to stop, unless force; returns its state after.';

-- The state of a job is where it is, read in one snapshot. A marker of a redrive or an operator's retry is not an end.
create view posthaste.jobs as
select
  j.job_id as id,
  l.kind,
  l.queue,
  l.endpoint,
  case
    when r.job_id is not null then 'available'
    when s.job_id is not null then 'scheduled'
    when a.outcome in ('completed', 'cancelled', 'dead') then a.outcome::text
    else 'running'
  end as state,
  j.priority::integer as priority,
  case
    when r.job_id is not null then r.failures
    when s.job_id is not null then s.failures
    when a.outcome in ('completed', 'cancelled', 'dead') then a.attempt
    else coalesce(h.failures + 1, a.attempt, 1)
  end::integer as attempt,
  j.max_attempts::integer as max_attempts,
  coalesce(r.run_lease - 1, s.run_lease - 1, case when a.outcome not in ('completed', 'cancelled', 'dead') then h.run_lease end, a.run_lease, h.run_lease, 0) as run_lease,
  j.args,
  case when a.outcome = 'completed' then a.result end as result,
  e.error_code,
  e.error_message,
  e.finished_at as error_at,
  null::json as progress,
  coalesce(j.tags, '{}') as tags,
  coalesce(j.metadata, '{}') as metadata,
  coalesce(j.headers, '{}') as headers,
  coalesce(s.run_at, j.run_at, j.created_at) as run_at,
  j.expires_at,
  j.created_at,
  case when a.outcome in ('completed', 'cancelled', 'dead') and r.job_id is null and s.job_id is null then a.finished_at end as finished_at,
  j.timeout_ms,
  j.namespace
from posthaste.job j
join posthaste.lane l on l.lane_id = j.lane_id
left join lateral (
  select x.run_lease, x.outcome, x.attempt, x.finished_at, x.result
  from posthaste.attempt x where x.job_id = j.job_id
  order by x.run_lease desc limit 1
) a on true
left join lateral (
  select x.error_code, x.error_message, x.finished_at
  from posthaste.attempt x
  where x.job_id = j.job_id and x.error_code is not null and a.outcome is distinct from 'completed'
  order by x.run_lease desc limit 1
) e on true
left join lateral (
  select y.job_id, y.run_lease, y.failures from posthaste.ready y
  where y.lane_id = j.lane_id and y.priority = j.priority and y.seq = j.job_id
  union all
  select y.job_id, y.run_lease, y.failures from posthaste.ready y where y.job_id = j.job_id and y.seq <> y.job_id
  limit 1
) r on true
left join posthaste.scheduled s on s.job_id = j.job_id
left join lateral (
  select y.run_leases[array_position(y.job_ids, j.job_id)] as run_lease,
    y.failures[array_position(y.job_ids, j.job_id)] as failures
  from posthaste.lease y
  where r.job_id is null and s.job_id is null and j.job_id = any (y.job_ids)
    and (a.outcome is null or a.outcome not in ('completed', 'cancelled', 'dead'))
  order by 1 desc limit 1
) h on true;
comment on view posthaste.jobs is 'Every job until its retention, live and ended alike.';

create view posthaste.queue_depth as
select l.queue, l.kind, l.endpoint, count(r.seq) as available, min(j.created_at) as oldest_at
from posthaste.lane l
left join posthaste.ready r on r.lane_id = l.lane_id
left join lateral (
  select k.created_at from posthaste.ready f join posthaste.job k on k.job_id = f.job_id
  where f.lane_id = l.lane_id order by f.priority, f.seq limit 1
) j on true
group by l.queue, l.kind, l.endpoint;
comment on view posthaste.queue_depth is 'Exact counts; reads every ready row.';

create view posthaste.dead_letters as
select d.job_id as id, d.kind, d.queue, d.endpoint, d.reason, d.dead_at, d.created_at, d.attempt::integer as attempt,
  d.max_attempts::integer as max_attempts, d.run_lease, d.args, d.error_code, d.error_message,
  coalesce(d.tags, '{}') as tags, coalesce(d.metadata, '{}') as metadata
from posthaste.dead_letter d;
comment on view posthaste.dead_letters is 'Jobs that gave up.';

revoke all on function posthaste.finalize_v1, posthaste.end_run, posthaste.take_unstarted, posthaste.running_run from public;
