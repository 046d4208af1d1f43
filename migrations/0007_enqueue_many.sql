-- 0007 enqueue_many: many jobs in one statement, for producers that write SQL and for REST.
--
-- Both end in enqueue_json_v1. It reads with json_to_recordset, which mends what it reads: numbers written as
-- texts, unknown fields left out. So REST checks types before it, and enqueue_many does here.

-- One statement for all, a row per job in the order given; jobs with faults are left out, the
-- others are written. `state` is available or scheduled.
create function posthaste.enqueue_json_v1(jobs json, notify boolean default true)
returns table (id bigint, state text, error jsonb)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
declare
  v_notify boolean := notify;
begin
  perform pg_current_xact_id();
  return query
  with input as (
    select
      x.n,
      x.kind,
      -- A json null becomes a null of SQL here, as an absent one does: whoever writes the array marks it.
      coalesce(x.args, case when x.args_is_null then 'null'::json end, '{}') as args,
      coalesce(x.queue, 'default') as queue,
      x.endpoint,
      coalesce(x.priority, 2) as priority,
      x.run_at,
      x.delay_ms,
      coalesce(x.max_attempts, 25) as max_attempts,
      x.timeout_ms,
      x.expires_at,
      nullif(x.tags, '{}') as tags,
      x.metadata,
      x.headers,
      x.traceparent
    from rows from (
      json_to_recordset(jobs) as (
        kind text, args json, queue text, endpoint text, priority integer, run_at timestamptz, delay_ms bigint,
        max_attempts integer, timeout_ms bigint, expires_at timestamptz, tags text[], metadata json, headers json, traceparent text,
        args_is_null boolean)
    ) with ordinality as x(kind, args, queue, endpoint, priority, run_at, delay_ms, max_attempts, timeout_ms, expires_at,
        tags, metadata, headers, traceparent, args_is_null, n)
    offset 0
  ),
  checked as (
    select
      i.*,
      job_faults(i.kind, i.args::text, i.queue, i.endpoint, i.priority, i.run_at, i.delay_ms, i.max_attempts,
        i.timeout_ms, i.expires_at, i.tags, i.metadata, i.headers, i.traceparent) as faults
    from input i
    offset 0
  ),
  numbered as materialized (
    select
      c.*,
      case when c.faults is null then coalesce(c.run_at, now() + c.delay_ms * interval '1 millisecond') end as due,
      case when c.faults is null then coalesce(l.lane_id, intern_lane(c.queue, c.kind, c.endpoint)) end as lane_id,
      case when c.faults is null then nextval('posthaste.seq') end as job_id
    from checked c
    left join lane l on l.namespace = 1 and l.queue = c.queue and l.kind = c.kind
      and coalesce(l.endpoint, '') = coalesce(c.endpoint, '')
  ),
  inserted as (
    insert into job (job_id, run_at, expires_at, lane_id, timeout_ms, priority, max_attempts, args, tags, metadata, headers, trace)
    select job_id, due, expires_at, lane_id, timeout_ms, priority, max_attempts, args, tags, metadata, headers, traceparent
    from numbered
    where job_id is not null
  ),
  readied as (
    insert into ready (seq, job_id, run_lease, lane_id, priority, failures, uncounted)
    select job_id, job_id, 1, lane_id, priority, 0, 0
    from numbered
    where job_id is not null and (due is null or due <= now())
  ),
  later as (
    insert into scheduled (job_id, run_at, run_lease, lane_id, priority, failures, uncounted)
    select job_id, due, 1, lane_id, priority, 0, 0
    from numbered
    where job_id is not null and due > now()
  ),
  ending as (
    insert into expiring (job_id, expires_at)
    select job_id, expires_at from numbered where job_id is not null and expires_at is not null
  )
  select
    n.job_id,
    case when n.job_id is null then null when n.due > now() then 'scheduled' else 'available' end,
    to_jsonb(n.faults)
  from numbered n
  -- Each called at most once a batch, and only when there is a reason.
  order by n.n,
    (select posthaste.wake()::text where v_notify and exists (select from numbered r where r.job_id is not null and r.due is null or r.due <= now())),
    (select pg_notify('posthaste_scheduled', '')::text
     where v_notify and exists (select from numbered r where r.due > now() and r.due < now() + interval '2 seconds')),
    (select posthaste.ensure_ranges() where exists (select from numbered r where r.job_id % 8192 = 0));
end $$;

-- Whether a text has the form of an RFC 3339 time; Postgres alone would take 'tomorrow' too.
create function posthaste.looks_like_time(p_text text) returns boolean
language sql immutable as $$
  select p_text ~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d(:?\d\d)?)$'
$$;
create function posthaste.is_time(p_text text) returns boolean
language plpgsql stable as $$
begin
  perform p_text::timestamptz;
  return posthaste.looks_like_time(p_text);
exception when data_exception then
  return false;
end $$;

-- The type fault of one field of a job written as JSON: null when its type, form and size are right. The only
-- place with these rules; one expression, so that Postgres inlines it into the look at a whole batch.
create function posthaste.type_fault(p_key text, p_value jsonb) returns jsonb
language sql immutable as $$
  select case
    when p_key in ('kind', 'queue', 'endpoint', 'traceparent') then
      case when jsonb_typeof(p_value) not in ('string', 'null')
        then posthaste.fault(p_key, 'wrong_type', p_key || ' must be a string') end
    when p_key = 'args' then null
    when p_key in ('priority', 'max_attempts', 'delay_ms', 'timeout_ms') then
      case when jsonb_typeof(p_value) = 'null' then null
           when jsonb_typeof(p_value) <> 'number' or scale(p_value::numeric) > 0
             then posthaste.fault(p_key, 'wrong_type', p_key || ' must be an integer')
           when abs(p_value::numeric) > case when p_key in ('delay_ms', 'timeout_ms') then 9223372036854775807 else 2147483647 end
             then posthaste.fault(p_key, 'out_of_range', p_key || ' is out of range') end
    when p_key in ('run_at', 'expires_at') then
      case when jsonb_typeof(p_value) not in ('string', 'null')
             then posthaste.fault(p_key, 'wrong_type', p_key || ' must be an RFC 3339 time')
           when not posthaste.looks_like_time(p_value #>> '{}')
             then posthaste.fault(p_key, 'wrong_format', p_key || ' must be an RFC 3339 time') end
    when p_key = 'tags' then
      case when jsonb_typeof(p_value) not in ('array', 'null')
             or jsonb_path_exists(p_value, 'strict $[*] ? (@.type() <> "string")', '{}', true)
        then posthaste.fault(p_key, 'wrong_type', p_key || ' must be an array of strings') end
    when p_key in ('metadata', 'headers') then
      case when jsonb_typeof(p_value) not in ('object', 'null')
        then posthaste.fault(p_key, 'wrong_type', p_key || case p_key when 'metadata' then ' must be an object' else ' must be an object of strings' end) end
    else posthaste.fault(p_key, 'unknown_field', 'unknown field ' || p_key)
  end
$$;

-- The type faults of one job; null when there are none. Slower: it also reads the times.
create function posthaste.type_faults(p_item jsonb) returns jsonb
language sql stable as $$
  select case when jsonb_typeof(p_item) is distinct from 'object'
    then jsonb_build_array(posthaste.fault('', 'wrong_type', 'a job must be an object'))
    else (
      select jsonb_agg(found.fault order by f.key)
      from jsonb_each(p_item) as f
      cross join lateral (select coalesce(
        posthaste.type_fault(f.key, f.value),
        case when f.key in ('run_at', 'expires_at') and jsonb_typeof(f.value) = 'string' and not posthaste.is_time(f.value #>> '{}')
          then posthaste.fault(f.key, 'wrong_format', f.key || ' must be an RFC 3339 time') end)) as found(fault)
      where found.fault is not null
    ) end
$$;

-- Marks the jobs whose args are null, which json_to_recordset does not tell from absent ones.
create function posthaste.mark_null_args(p_jobs jsonb) returns jsonb
language sql immutable as $$
  select case when not jsonb_path_exists(p_jobs, '$[*].args ? (@ == null)') then p_jobs else (
    select jsonb_agg(case when item -> 'args' = 'null' then item || '{"args_is_null": true}' else item end order by n)
    from jsonb_array_elements(p_jobs) with ordinality as e (item, n)) end
$$;

create function posthaste.enqueue_many(jobs jsonb, notify boolean default true)
returns table (id bigint, error jsonb)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
declare
  v_item jsonb;
begin
  if jsonb_typeof(jobs) is distinct from 'array' then
    raise exception using errcode = 'PH422', message = 'jobs must be an array',
      detail = jsonb_build_array(fault('jobs', 'wrong_type', 'jobs must be an array'))::text;
  end if;
  if jsonb_array_length(jobs) > 10000 then
    raise exception using errcode = 'PH422', message = 'jobs must have at most 10000 elements',
      detail = jsonb_build_array(fault('jobs', 'too_many', 'jobs must have at most 10000 elements'))::text;
  end if;
  if not exists (
    select
    from jsonb_array_elements(jobs) as item,
      -- What is no object is an unknown field.
      jsonb_each(case when jsonb_typeof(item) = 'object' then item else '{"": null}' end) as f
    where type_fault(f.key, f.value) is not null
  ) then
    begin
      return query select e.id, e.error from enqueue_json_v1(mark_null_args(jobs)::text::json, notify) as e;
      return;
    exception when data_exception then
      null; -- one of them has a value that its type cannot hold: find it below, one by one
    end;
  end if;
  for v_item in select jsonb_array_elements(jobs) loop
    id := null;
    error := type_faults(v_item);
    if error is null then
      begin
        select e.id, e.error into id, error
          from enqueue_json_v1(mark_null_args(jsonb_build_array(v_item))::text::json, notify) as e;
      exception when data_exception then
        error := jsonb_build_array(fault('', 'invalid_value', sqlerrm));
      end;
    end if;
    return next;
  end loop;
end $$;
comment on function posthaste.enqueue_many is
  'Enqueues an array of jobs (objects with the fields of enqueue); a row per job in order: its id, or its faults. Sound jobs are written together.';

revoke all on function posthaste.enqueue_json_v1 from public;
