-- 0012 roles: who may do what. Five group roles without a login; grant them to the roles that connect.
--
-- Roles belong to the whole server: whoever migrates without CREATEROLE has them made by its administrator, and gets the
-- grants at the next `posthaste migrate`, which always calls posthaste.grant_roles().

-- Makes the roles that are missing, if this may.
create function posthaste.make_roles() returns void
language plpgsql
set search_path = pg_catalog, posthaste, pg_temp as $$
declare
  v_role text;
begin
  foreach v_role in array array['producer', 'dispatcher', 'gateway', 'operator', 'reader'] loop
    begin
      if not exists (select from pg_roles where rolname = 'posthaste_' || v_role) then
        execute format('create role %I nologin', 'posthaste_' || v_role);
      end if;
    exception
      when insufficient_privilege then null;
      when duplicate_object or unique_violation then null; -- another database of this server is migrated just now
    end;
  end loop;
end $$;

-- Grants one of the roles these privileges, if there is such a role.
create function posthaste.grant_to(p_role text, p_grants text[]) returns void
language plpgsql
set search_path = pg_catalog, posthaste, pg_temp as $$
declare
  v_grant text;
begin
  if exists (select from pg_roles where rolname = 'posthaste_' || p_role) then
    foreach v_grant in array p_grants loop
      execute format('grant %s to %I', v_grant, 'posthaste_' || p_role);
    end loop;
  end if;
end $$;

create function posthaste.grant_roles() returns void
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
       posthaste.end_held_v1, posthaste.meet_v1, posthaste.wake']);
  if exists (select from pg_roles where rolname = 'posthaste_dispatcher') then
    revoke select on posthaste.api_key, posthaste.source from posthaste_dispatcher;
  end if;

  -- Ends, wakes and keeps alive the runs that a token names. Sees no args and no result of any job, and no secret.
  perform posthaste.grant_to('gateway', array[
    'usage on schema posthaste',
    'select (job_id, created_at, lane_id, max_attempts, namespace, priority, tags, metadata, callback) on posthaste.job',
    'select (job_id, run_lease, lease_id, finished_at, outcome, ended_by, action, digest) on posthaste.attempt',
    'select (id, state, run_lease) on posthaste.jobs',
    'select on posthaste.lane, posthaste.lease, posthaste.cancel_request, posthaste.endpoint_kind, posthaste.parked, posthaste.source',
    'select (namespace, name, spec, version, paused_at, paused_reason, created_at, updated_at) on posthaste.endpoint',
    'select on posthaste.schema_migration',
    'update (expires_at) on posthaste.lease', -- to lock it, as a park must
    'select, insert, update, delete on posthaste.waiting, posthaste.inbox, posthaste.delivery',
    'select, delete on posthaste.wait',
    'select, insert, update on posthaste.continuation, posthaste.progress',
    'execute on function posthaste.end_held_v1, posthaste.meet_v1, posthaste.running_run']);

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

-- Ends runs that leases or waits hold, as callbacks and time-outs do: what finalize_v3 does, with a key to each run. What ends a
-- run reads the job that it buries; whoever may end runs so need not see jobs.
create function posthaste.end_held_v1(
  bigint[], bigint[], bigint[], uuid[], text[], text[], smallint[], bigint[], integer[], integer[], smallint[], text[], text[], text[],
  bigint[], bigint[], text[], bigint[], integer[], smallint[], smallint[], smallint[], timestamptz[], text, bigint[], text[], bytea[]
) returns table (job_id bigint, run_lease bigint, notified bigint, outcome text)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
begin
  if array_position($3, null) is not null or $24 not in ('callback', 'maintenance') or cardinality($25) > 0 then
    raise exception using errcode = '42501', message = 'only runs that a lease or a wait holds can be ended so';
  end if;
  return query select * from posthaste.finalize_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
    $18, $19, $20, $21, $22, $23, $24, $25, $26, $27);
end $$;

-- Marks waits as met, or as timed out: jobs, runs, numbers, whether they timed out, digests, payloads. The payload of a wait for
-- jobs is those of its jobs that have ended; results past 1 MiB together are left out. Whoever meets a wait need not see jobs.
create function posthaste.meet_v1(bigint[], bigint[], smallint[], boolean[], bytea[], text[]) returns void
language sql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
update posthaste.wait w
set met_at = case when not i.timed_out then now() end, timed_out = i.timed_out, digest = i.digest,
  payload = case when w.awaits = 'jobs' and not i.timed_out then (
    select json_object_agg(e.job_id, json_build_object(
      'state', e.outcome, 'result', case when e.bytes <= 1048576 then e.result end) order by e.at)
    from (
      select o.job_id, o.at, a.outcome, a.result, sum(octet_length(a.result::text)) over (order by o.at) as bytes
      from unnest(w.jobs) with ordinality as o (job_id, at)
      left join lateral (
        select x.outcome, x.result from posthaste.attempt x
        where x.job_id = o.job_id order by x.run_lease desc limit 1
      ) a on true
      where a.outcome in ('completed', 'cancelled', 'dead')
        or not exists (select from posthaste.job j where j.job_id = o.job_id)
    ) e) else i.payload::json end
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::boolean[], $5::bytea[], $6::text[])
  as i (job_id, run_lease, n, timed_out, digest, payload)
where w.job_id = i.job_id and w.run_lease = i.run_lease and w.n = i.n;
$$;

-- Partitions are made and dropped by their owner.
alter function posthaste.ensure_ranges(integer) security definer set search_path = pg_catalog, posthaste, pg_temp;

-- Drops one range whose jobs have all ended, the newest more than p_keep_s seconds ago, for a role that does not own the
-- tables. Not concurrently, which no function can: it waits for who reads them, for as long as lock_timeout allows.
create function posthaste.drop_range_v1(p_lower bigint, p_keep_s bigint) returns boolean
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp
set lock_timeout = '100ms' as $$
declare
  v_table text;
  v_over boolean;
begin
  -- The range that begins there, all of whose ids are used; no other name becomes part of a statement.
  if not exists (select from job_range r where r.lower_id = p_lower and r.upper_id <= (select last_value from seq)) then
    return false;
  end if;
  if to_regclass('posthaste.job_' || p_lower) is not null then
    execute format(
      'select not exists (select from %2$I a where a.finished_at > now() - $1 * interval ''1 second'')
         and not exists (select from %1$I j where not exists (
           select from %2$I a where a.job_id = j.job_id and a.outcome in (''completed'', ''cancelled'', ''dead'')))',
      'job_' || p_lower, 'attempt_' || p_lower)
      into v_over using p_keep_s;
    if not v_over then
      return false;
    end if;
  end if;
  foreach v_table in array array['job', 'attempt'] loop
    if exists (select from pg_inherits i where i.inhrelid = to_regclass(format('posthaste.%I', v_table || '_' || p_lower))) then
      execute format('alter table posthaste.%I detach partition posthaste.%I', v_table, v_table || '_' || p_lower);
    end if;
    execute format('drop table if exists posthaste.%I', v_table || '_' || p_lower);
  end loop;
  return true;
end $$;

select posthaste.grant_roles();
