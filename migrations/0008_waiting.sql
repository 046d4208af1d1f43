-- 0008 waiting: runs whose function answered 202 and will call back, and what it says meanwhile.
--
-- A 202, or a first heartbeat, parks its run: a row in `waiting`, after which no lease holds it. Its end deletes the row;
-- a row whose run has ended is nobody's, is hidden by `parked`, and goes with its deadline at the latest.
--
-- Lock order: lease, then (job_id, run_lease) of attempt, then waiting. Nobody who holds an end waits for a row of waiting.

alter type posthaste.ended_by add value 'callback';
create type posthaste.callback_action as enum ('complete', 'fail', 'retry', 'snooze', 'cancel', 'resume');
alter table posthaste.attempt
  add column action posthaste.callback_action,  -- null = no callback ended it
  add column digest bytea;                      -- 16 bytes of it: the same callback again is a duplicate

-- When a waiting run that was asked to cancel is ended without its function.
alter table posthaste.cancel_request add column due_at timestamptz not null default now() + interval '10 seconds';

create table posthaste.waiting (
  job_id bigint not null,
  run_lease bigint not null,
  lease_id bigint not null,                   -- the claim batch that the callback's token names; its row may be gone
  parked_at timestamptz not null default now(),
  deadline_at timestamptz not null,           -- no sign of life until then: timed out
  hard_at timestamptz not null,               -- the deadline never moves past this: the claim + max_run_ms
  started_at timestamptz,                     -- when the POST began; null = not told yet
  uncounted_since timestamptz,
  callback_ms bigint not null,                -- what the deadline began with, and what a heartbeat gives again
  heartbeat_ms bigint,                        -- … unless the function said how long it may be silent
  nonce uuid not null,
  lane_id integer not null,
  wait_number integer not null,
  headers_us integer,                         -- of the 202, as in attempt
  body_us integer,
  priority smallint not null,
  failures smallint not null,
  uncounted smallint not null,
  http_status smallint,                       -- null = parked by a heartbeat or a rescue: no 202 was seen
  constraint waiting_pkey primary key (job_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create index waiting_deadline_idx on posthaste.waiting (deadline_at);
comment on table posthaste.waiting is 'Runs that wait for a callback.';

-- The rows of waiting that mean something.
create view posthaste.parked as
select w.*
from posthaste.waiting w
where not exists (select from posthaste.attempt a where a.job_id = w.job_id and a.run_lease = w.run_lease);

create table posthaste.progress (
  job_id bigint not null,
  at timestamptz not null default now(),
  percent double precision,
  message text,
  metadata jsonb,                             -- null = {}
  constraint progress_pkey primary key (job_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on table posthaste.progress is 'What functions last reported; kept over retries, removed with the range of the job.';

-- The finalize, for SQL: engine/src/sql/finalize.sql. Version 1 is kept for binaries that are one release behind.
create function posthaste.finalize_v2(
  bigint[], bigint[], bigint[], uuid[], text[], text[], smallint[], bigint[], integer[], integer[], smallint[], text[], text[], text[],
  bigint[], bigint[], text[], bigint[], integer[], smallint[], smallint[], smallint[], timestamptz[], text, bigint[], text[], bytea[]
) returns table (job_id bigint, run_lease bigint, notified bigint, outcome text)
language plpgsql as $finalize$
#variable_conflict use_column
begin
  return query
{{finalize_v2}};
end $finalize$;

create or replace function posthaste.end_run(
  p_job bigint, p_run bigint, p_lease bigint, p_nonce uuid, p_outcome text, p_code text, p_message text, p_attempt integer, p_by text
) returns boolean
language sql as $$
  select count(*) = 1 from posthaste.finalize_v2(
    array[p_job], array[p_run], array[p_lease], array[p_nonce], array[p_outcome], array[null::text], array[null::smallint], array[null::bigint],
    array[null::integer], array[null::integer], array[p_attempt::smallint], array[null::text], array[p_code], array[p_message],
    array[p_job], array[p_run], array[p_code], array[null::bigint], array[null::integer], array[null::smallint],
    array[null::smallint], array[null::smallint], array[null::timestamptz], p_by, array[]::bigint[], array[]::text[], array[]::bytea[])
$$;

-- The leases or waits that hold a run of this job which has not ended.
drop function posthaste.running_run(bigint);
create function posthaste.running_run(p_job bigint)
returns table (lease_id bigint, nonce uuid, run_lease bigint, attempt integer, waits boolean)
language sql stable as $$
  select l.lease_id, l.nonce, l.run_leases[array_position(l.job_ids, p_job)],
    l.failures[array_position(l.job_ids, p_job)] + 1, false
  from posthaste.lease l
  where p_job = any (l.job_ids)
    and not exists (
      select from posthaste.attempt a
      where a.job_id = p_job and a.run_lease = l.run_leases[array_position(l.job_ids, p_job)])
  union all
  select w.lease_id, w.nonce, w.run_lease, w.failures + 1, true
  from posthaste.parked w
  where w.job_id = p_job
$$;

-- How long the function of a job may go on after somebody asked to cancel it.
create function posthaste.cancel_grace(p_job bigint) returns interval
language sql stable as $$
  select coalesce((
    select (e.spec ->> 'cancel_grace_ms')::integer
    from posthaste.job j
    join posthaste.lane l on l.lane_id = j.lane_id
    join posthaste.endpoint e on e.namespace = l.namespace and e.name = coalesce(l.endpoint, (
      select k.endpoint from posthaste.endpoint_kind k
      where k.namespace = l.namespace and k.kind in (l.kind, '*')
      order by k.kind = '*' limit 1))
    where j.job_id = p_job), 10000) * interval '1 millisecond'
$$;

-- Cancels a job: at once when nobody has it; a running or waiting one is asked to stop (force ends it at once).
-- Returns the state after: cancelled, running or waiting (asked), or the state in which it had already ended.
create or replace function posthaste.cancel(id bigint, reason text default null, force boolean default false) returns text
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
    select r.* into v_run from running_run(cancel.id) r order by r.run_lease desc, r.waits desc limit 1;
    if found and force then
      if end_run(cancel.id, v_run.run_lease, v_run.lease_id, v_run.nonce, 'cancelled', 'cancelled', coalesce(v_reason, ''), v_run.attempt, 'operator') then
        -- For the dispatcher, which drops its open POST; the sweep forgets it.
        insert into cancel_request (job_id, reason) values (cancel.id, v_reason) on conflict do nothing;
        perform pg_notify('posthaste_cancel', cancel.id::text);
        return 'cancelled';
      end if;
    elsif found then
      insert into cancel_request (job_id, reason, due_at) values (cancel.id, v_reason, now() + cancel_grace(cancel.id)) on conflict do nothing;
      perform pg_notify('posthaste_cancel', cancel.id::text);
      return case when v_run.waits then 'waiting' else 'running' end;
    end if;
    select a.outcome::text into v_last from attempt a where a.job_id = cancel.id order by a.run_lease desc limit 1;
    if v_last in ('completed', 'cancelled', 'dead') then
      return v_last;
    end if;
  end loop;
  raise exception using errcode = '40001', message = 'job ' || cancel.id || ' kept moving while it was being cancelled; try again';
end $$;

create or replace function posthaste.expire_v1(p_limit bigint) returns bigint
language plpgsql as $$
declare
  v_due record;
  v_run record;
  v_ended bigint := 0;
begin
  for v_due in
    select e.job_id from posthaste.expiring e
    -- Jobs that run, or wait for a callback, are left out, so that many of them do not hide those that never started.
    where e.expires_at <= now() and not exists (select from posthaste.lease l where e.job_id = any (l.job_ids))
      and not exists (select from posthaste.parked w where w.job_id = e.job_id)
    order by e.expires_at limit p_limit for update skip locked
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_due.job_id) t;
    if found then
      if posthaste.end_run(v_due.job_id, v_run.run_lease, null, null, 'dead', 'expired',
           'expires_at passed before the job could be sent', v_run.failures, 'maintenance') then
        v_ended := v_ended + 1;
      end if;
      delete from posthaste.expiring where job_id = v_due.job_id;
    elsif posthaste.has_ended(v_due.job_id) then
      delete from posthaste.expiring where job_id = v_due.job_id;
    end if;
  end loop;
  return v_ended;
end $$;

create or replace function posthaste.grant_cancels_v1(p_limit bigint) returns bigint
language plpgsql as $$
declare
  v_request record;
  v_run record;
  v_ended bigint := 0;
begin
  for v_request in
    select c.job_id, c.reason, c.due_at from posthaste.cancel_request c
    where (not exists (select from posthaste.lease l where c.job_id = any (l.job_ids))
        and not exists (select from posthaste.parked w where w.job_id = c.job_id))
      or posthaste.has_ended(c.job_id)
      or (c.due_at <= now() and exists (select from posthaste.parked w where w.job_id = c.job_id))
    order by c.job_id limit p_limit for update skip locked
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_request.job_id) t;
    if found then
      perform posthaste.end_run(v_request.job_id, v_run.run_lease, null, null, 'cancelled', 'cancelled',
        coalesce(v_request.reason, ''), v_run.failures, 'maintenance');
      v_ended := v_ended + 1;
      delete from posthaste.cancel_request where job_id = v_request.job_id;
      continue;
    end if;
    -- Its grace is over: whoever waits for its callback is told 409.
    select w.run_lease, w.lease_id, w.nonce, w.failures + 1 as attempt into v_run
    from posthaste.parked w where w.job_id = v_request.job_id and v_request.due_at <= now();
    if found and posthaste.end_run(v_request.job_id, v_run.run_lease, v_run.lease_id, v_run.nonce, 'cancelled', 'cancelled',
         coalesce(v_request.reason, ''), v_run.attempt, 'maintenance') then
      v_ended := v_ended + 1;
    elsif posthaste.has_ended(v_request.job_id) then
      delete from posthaste.cancel_request where job_id = v_request.job_id;
    end if;
  end loop;
  return v_ended;
end $$;

-- The state of a job is where it is, read in one snapshot. A run that waits is not also running: its lease may not know yet.
create or replace view posthaste.jobs as
select
  j.job_id as id,
  l.kind,
  l.queue,
  l.endpoint,
  case
    when w.job_id is not null then 'waiting'
    when r.job_id is not null then 'available'
    when s.job_id is not null then 'scheduled'
    when a.outcome in ('completed', 'cancelled', 'dead') then a.outcome::text
    else 'running'
  end as state,
  j.priority::integer as priority,
  case
    when w.job_id is not null then w.failures + 1
    when r.job_id is not null then r.failures
    when s.job_id is not null then s.failures
    when a.outcome in ('completed', 'cancelled', 'dead') then a.attempt
    else coalesce(h.failures + 1, a.attempt, 1)
  end::integer as attempt,
  j.max_attempts::integer as max_attempts,
  coalesce(w.run_lease, r.run_lease - 1, s.run_lease - 1, case when a.outcome not in ('completed', 'cancelled', 'dead') then h.run_lease end, a.run_lease, h.run_lease, 0) as run_lease,
  j.args,
  case when a.outcome = 'completed' then a.result end as result,
  e.error_code,
  e.error_message,
  e.finished_at as error_at,
  -- As in claim.sql.
  case when p.job_id is not null then json_build_object(
    'percent', p.percent, 'message', p.message, 'metadata', coalesce(p.metadata, '{}'),
    'at', to_char(p.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) end as progress,
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
left join posthaste.parked w on w.job_id = j.job_id
left join posthaste.progress p on p.job_id = j.job_id
left join posthaste.scheduled s on s.job_id = j.job_id
left join lateral (
  select y.run_leases[array_position(y.job_ids, j.job_id)] as run_lease,
    y.failures[array_position(y.job_ids, j.job_id)] as failures
  from posthaste.lease y
  where w.job_id is null and r.job_id is null and s.job_id is null and j.job_id = any (y.job_ids)
    and (a.outcome is null or a.outcome not in ('completed', 'cancelled', 'dead'))
  order by 1 desc limit 1
) h on true;

revoke all on function posthaste.finalize_v2, posthaste.running_run, posthaste.cancel_grace from public;
