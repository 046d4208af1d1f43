-- 0014 narrow_gateway: what a gateway writes for a run goes through functions that ask who holds it, and cancels are granted in
-- the order in which runs end.

-- The requests are read without a lock: an end takes its attempt first, then the request, and so must this. Of two at once,
-- one ends each run, and the other finds it ended.
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
    order by c.job_id limit p_limit
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


-- Parks runs that a lease holds, at their first sign of life: jobs, runs, leases, nonces, time-outs of jobs that have none of their
-- own, silences that their functions asked for (null: none), and how long they may take, in ms; at most one per job, sorted by
-- job. What the row says of the run is the lease's and the job's. A rescue that holds the lease is waited for. Returns how many.
create function posthaste.park_held_v1(bigint[], bigint[], bigint[], uuid[], bigint[], bigint[], bigint[]) returns bigint
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
declare
  v_parked bigint;
begin
  with input as (
    select *
    from unnest($1, $2, $3, $4, $5, $6, $7) as i (job_id, run_lease, lease_id, nonce, callback_ms, heartbeat_ms, max_run_ms)
  ),
  held as materialized (
    select l.lease_id, l.nonce, l.claimed_at, l.job_ids, l.run_leases, l.failures, l.uncounted
    from posthaste.lease l where l.lease_id = any ($3) order by l.lease_id for key share
  ),
  found as materialized (
    select i.job_id, i.run_lease, h.lease_id, h.nonce, h.claimed_at, i.heartbeat_ms,
      h.claimed_at + i.max_run_ms * interval '1 millisecond' as hard_at,
      h.failures[array_position(h.job_ids, i.job_id)] as failures, h.uncounted[array_position(h.job_ids, i.job_id)] as uncounted,
      j.lane_id, j.priority,
      -- What is no time from 1 ms to 30 days is ignored.
      case when j.callback ->> 'timeout_ms' ~ '^[1-9][0-9]{0,9}$' and (j.callback ->> 'timeout_ms')::bigint <= 2592000000
        then (j.callback ->> 'timeout_ms')::bigint else i.callback_ms end as callback_ms
    from input i
    join held h on h.lease_id = i.lease_id and h.nonce = i.nonce
    join posthaste.job j on j.job_id = i.job_id
    where h.run_leases[array_position(h.job_ids, i.job_id)] = i.run_lease
      and not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)
  ),
  parked as (
    insert into posthaste.waiting as w (
      job_id, run_lease, lease_id, nonce, wait_number, deadline_at, hard_at, started_at, callback_ms, heartbeat_ms, lane_id,
      priority, failures, uncounted)
    select
      f.job_id, f.run_lease, f.lease_id, f.nonce, 0,
      least(now() + coalesce(f.heartbeat_ms, f.callback_ms) * interval '1 millisecond', f.hard_at), f.hard_at, f.claimed_at,
      f.callback_ms, f.heartbeat_ms, f.lane_id, f.priority, f.failures, f.uncounted
    from found f
    order by f.job_id
    -- A newer run's row replaces an older one's, never the reverse.
    on conflict (job_id) do update
    set (run_lease, lease_id, nonce, wait_number, deadline_at, hard_at, started_at, callback_ms, heartbeat_ms, lane_id, priority,
        failures, uncounted, uncounted_since, headers_us, body_us, http_status, need, parked_at)
      = row(excluded.run_lease, excluded.lease_id, excluded.nonce, excluded.wait_number, excluded.deadline_at, excluded.hard_at,
        excluded.started_at, excluded.callback_ms, excluded.heartbeat_ms, excluded.lane_id, excluded.priority, excluded.failures,
        excluded.uncounted, null::timestamptz, null::integer, null::integer, null::smallint, null::smallint, now())
    where w.run_lease < excluded.run_lease
    returning w.job_id
  )
  select count(*) into v_parked from parked;
  return v_parked;
end $$;

-- As in migration 12; and a lease is no key to the runs that it does not hold.
create or replace function posthaste.end_held_v1(
  bigint[], bigint[], bigint[], uuid[], text[], text[], smallint[], bigint[], integer[], integer[], smallint[], text[], text[], text[],
  bigint[], bigint[], text[], bigint[], integer[], smallint[], smallint[], smallint[], timestamptz[], text, bigint[], text[], bytea[]
) returns table (job_id bigint, run_lease bigint, notified bigint, outcome text)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
begin
  if array_position($3, null) is not null or $24 not in ('callback', 'maintenance') or cardinality($25) > 0 or exists (
    select from unnest($1, $2, $3, $4) as i (job_id, run_lease, lease_id, nonce)
    join posthaste.lease l on l.lease_id = i.lease_id and l.nonce = i.nonce
    where l.run_leases[array_position(l.job_ids, i.job_id)] is distinct from i.run_lease) then
    raise exception using errcode = '42501', message = 'only runs that a lease or a wait holds can be ended so';
  end if;
  return query select * from posthaste.finalize_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
    $18, $19, $20, $21, $22, $23, $24, $25, $26, $27);
end $$;

-- What woken runs waited for becomes what their jobs are told next: engine/src/sql/wake.sql, for runs that a wake has ended.
create function posthaste.go_on_v1(bigint[], bigint[], smallint[], boolean[]) returns void
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
begin
  if exists (
    select from unnest($1, $2) as i (job_id, run_lease)
    where not exists (
      select from posthaste.attempt a
      where a.job_id = i.job_id and a.run_lease = i.run_lease and a.outcome = 'suspended')) then
    raise exception using errcode = '42501', message = 'only what a woken run waited for is given to the next';
  end if;
{{wake}};
end $$;

-- Stores the steps of runs that a lease or a wait holds: engine/src/sql/checkpoint.sql.
create function posthaste.checkpoint_v1(bigint[], bigint[], bigint[], uuid[], bigint[], text[], integer)
returns table (job_id bigint, waits boolean, verdict text, seq bigint, steps text, cancel_requested boolean)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
begin
  return query
{{checkpoint}};
end $$;

-- Keeps what came too early, of runs that a lease or a wait holds, and what could not be judged: engine/src/sql/keep.sql.
create function posthaste.keep_v1(
  text, bigint[], bigint[], bigint[], uuid[], text[], text[], bytea[], bytea[], text[], text[], bigint, boolean
) returns table (inbox_id bigint)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
begin
  return query
{{keep}};
end $$;

create or replace function posthaste.grant_roles() returns void
language plpgsql
set search_path = pg_catalog, posthaste, pg_temp as $$
begin
  perform posthaste.make_roles();
  revoke execute on all functions in schema posthaste from public;

  -- Enqueues and cancels; sees nothing.
  perform posthaste.grant_to('producer', array[
    'usage on schema posthaste',
    'execute on function posthaste.enqueue, posthaste.enqueue_many, posthaste.cancel']);

  -- Looks at jobs, their args and results, and changes nothing.
  perform posthaste.grant_to('reader', array[
    'usage on schema posthaste',
    'select on posthaste.jobs, posthaste.dead_letters, posthaste.queue_depth, posthaste.deliveries']);

  -- Claims, sends and ends runs, and keeps the house. Makes no job, no endpoint and no key.
  perform posthaste.grant_to('dispatcher', array[
    'usage on schema posthaste',
    'usage, select on sequence posthaste.seq',
    'select on all tables in schema posthaste',
    'insert, update, delete on posthaste.ready, posthaste.scheduled, posthaste.lease, posthaste.waiting, posthaste.wait,
       posthaste.continuation, posthaste.inbox, posthaste.progress, posthaste.dispatcher, posthaste.delivery',
    'insert on posthaste.attempt',
    'insert, delete on posthaste.dead_letter',
    'update, delete on posthaste.expiring, posthaste.cancel_request',
    'delete on posthaste.request_key, posthaste.job_range',
    'update (paused_at, paused_reason, version, updated_at) on posthaste.endpoint',
    'execute on function posthaste.ensure_ranges, posthaste.drop_range_v1, posthaste.expire_v1, posthaste.grant_cancels_v1,
       posthaste.end_run, posthaste.take_unstarted, posthaste.has_ended, posthaste.running_run, posthaste.finalize_v3,
       posthaste.end_held_v1, posthaste.meet_v1, posthaste.go_on_v1, posthaste.checkpoint_v1, posthaste.wake']);
  if exists (select from pg_roles where rolname = 'posthaste_dispatcher') then
    revoke select on posthaste.api_key, posthaste.source from posthaste_dispatcher;
  end if;

  -- Ends, wakes and keeps alive the runs that a token names. Sees no args and no result of any job, and no secret.
  perform posthaste.grant_to('gateway', array[
    'usage on schema posthaste',
    'select (job_id, created_at, lane_id, max_attempts, namespace, priority, tags, metadata, callback) on posthaste.job',
    'select (job_id, run_lease, lease_id, finished_at, outcome, ended_by, action, digest) on posthaste.attempt',
    'select (id, state, run_lease) on posthaste.jobs',
    'select on posthaste.lane, posthaste.lease, posthaste.waiting, posthaste.parked, posthaste.cancel_request, posthaste.endpoint_kind,
       posthaste.source',
    'select (namespace, name, spec, version, paused_at, paused_reason, created_at, updated_at) on posthaste.endpoint',
    'select on posthaste.schema_migration',
    'update (deadline_at) on posthaste.waiting',
    -- Not what came for it.
    'select (job_id, run_lease, deadline_at, met_at, n, need, awaits, timed_out, name, jobs, digest, cel, signature) on posthaste.wait',
    'select (job_id, resumes, heard) on posthaste.continuation',
    -- What is kept it may move between runs, and judge again; never make a signal of it that nobody judges.
    'select, delete on posthaste.inbox',
    'update (run_lease, lease_id, nonce, wait, judge_at, verified, error) on posthaste.inbox',
    'select, insert, update, delete on posthaste.delivery',
    'select, insert, update on posthaste.progress',
    'execute on function posthaste.end_held_v1, posthaste.park_held_v1, posthaste.meet_v1, posthaste.go_on_v1, posthaste.checkpoint_v1,
       posthaste.keep_v1, posthaste.running_run']);

  -- Everything that an administrator does through the command line and the API, except sending.
  perform posthaste.grant_to('operator', array[
    'usage on schema posthaste',
    'usage on sequence posthaste.seq',
    'select on all tables in schema posthaste',
    'insert, update, delete on posthaste.endpoint, posthaste.endpoint_kind, posthaste.api_key, posthaste.source, posthaste.request_key',
    'update, delete on posthaste.inbox',
    'insert, update on posthaste.delivery',
    'execute on all functions in schema posthaste']);
end $$;

-- What migration 12 granted beyond that.
do $$
begin
  if exists (select from pg_roles where rolname = 'posthaste_gateway') then
    revoke all on all tables in schema posthaste from posthaste_gateway;
  end if;
end $$;

select posthaste.grant_roles();
