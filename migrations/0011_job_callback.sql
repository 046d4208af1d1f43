-- 0011 job_callback: what a job says of its own callbacks.
--
-- The functions of 0003 and 0007 once more, with the field `callback`. A job without one costs what it cost: a null.
-- The expressions in it are checked where they can be compiled, in REST and the command line; for producers that write
-- SQL the first webhook shows what is wrong with them.

alter table posthaste.job add column callback json;
comment on column posthaste.job.callback is 'What a webhook to this job means, {"cel": …}; null = what the endpoint says.';

-- The faults of `callback`; only called where there is one.
create function posthaste.callback_faults(p_callback json) returns jsonb[]
language sql immutable as $$
  select case
    when json_typeof(p_callback) <> 'object'
      then array[posthaste.fault('callback', 'wrong_type', 'callback must be an object')]
    when octet_length(p_callback::text) > 8192
      then array[posthaste.fault('callback', 'too_large', 'callback must have at most 8192 bytes')]
    when posthaste.json_too_deep(p_callback::text)
      then array[posthaste.fault('callback', 'too_deep', 'callback must be nested at most 64 deep')]
    when posthaste.json_has_nul(p_callback::text)
      then array[posthaste.fault('callback', 'nul_character', 'callback must not contain \u0000')]
  end
$$;

-- A new parameter makes a new function, which gets the grants of the one that it replaces.
alter function posthaste.enqueue rename to enqueue_0003;

create function posthaste.enqueue(
  kind text,
  args json default '{}',
  queue text default 'default',
  endpoint text default null,
  priority integer default 2,
  run_at timestamptz default null,
  delay_ms bigint default null,
  max_attempts integer default 25,
  timeout_ms integer default null,
  expires_at timestamptz default null,
  tags text[] default null,
  metadata json default null,
  headers json default null,
  traceparent text default null,
  notify boolean default true,
  callback json default null
) returns bigint
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_variable
declare
  v_faults jsonb[] := array_cat(
    job_faults(kind, args::text, queue, endpoint, priority, run_at, delay_ms, max_attempts,
      timeout_ms, expires_at, tags, metadata, headers, traceparent),
    case when callback is not null then callback_faults(callback) end);
  v_due timestamptz;
  v_lane integer;
  v_id bigint;
begin
  if v_faults is not null then
    raise exception using errcode = 'PH422', message = v_faults[1] ->> 'message',
      detail = to_jsonb(v_faults)::text, hint = 'see docs/reference/sql.md';
  end if;
  v_due := coalesce(run_at, now() + delay_ms * interval '1 millisecond');
  -- The xid comes before the number: the floor of the claim rests on it.
  perform pg_current_xact_id();
  v_id := nextval('posthaste.seq');
  if v_id % 8192 = 0 then
    perform ensure_ranges();
  end if;
  select l.lane_id into v_lane from lane l
    where l.namespace = 1 and l.queue = enqueue.queue and l.kind = enqueue.kind and l.endpoint is not distinct from enqueue.endpoint;
  if not found then
    v_lane := intern_lane(queue, kind, endpoint);
  end if;
  insert into job (job_id, run_at, expires_at, lane_id, timeout_ms, priority, max_attempts, args, tags, metadata, headers, trace, callback)
    values (v_id, v_due, expires_at, v_lane, timeout_ms, priority, max_attempts, args, nullif(tags, '{}'), metadata, headers, traceparent, callback);
  if expires_at is not null then
    insert into expiring (job_id, expires_at) values (v_id, expires_at);
  end if;
  if v_due > now() then
    insert into scheduled (job_id, run_at, run_lease, lane_id, priority, failures, uncounted)
      values (v_id, v_due, 1, v_lane, priority, 0, 0);
    if notify and v_due < now() + interval '2 seconds' then
      perform pg_notify('posthaste_scheduled', '');
    end if;
  else
    insert into ready (seq, job_id, run_lease, lane_id, priority, failures, uncounted)
      values (v_id, v_id, 1, v_lane, priority, 0, 0);
    if notify then
      perform wake();
    end if;
  end if;
  return v_id;
end $$;
comment on function posthaste.enqueue is
  'Enqueues a job in the caller''s transaction and returns its id. Faults: SQLSTATE PH422, detail = the list of faults.';

do $$
declare
  v_grant record;
begin
  revoke all on function posthaste.enqueue from public;
  for v_grant in
    select case when a.grantee = 0 then 'public' else a.grantee::regrole::text end as grantee, a.is_grantable
    from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where p.oid = 'posthaste.enqueue_0003'::regproc and a.grantee <> p.proowner
  loop
    execute format('grant execute on function posthaste.enqueue to %s%s', v_grant.grantee,
      case when v_grant.is_grantable then ' with grant option' end);
  end loop;
end $$;
drop function posthaste.enqueue_0003;

create or replace function posthaste.enqueue_json_v1(jobs json, notify boolean default true)
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
      x.traceparent,
      x.callback
    from rows from (
      json_to_recordset(jobs) as (
        kind text, args json, queue text, endpoint text, priority integer, run_at timestamptz, delay_ms bigint,
        max_attempts integer, timeout_ms bigint, expires_at timestamptz, tags text[], metadata json, headers json, traceparent text,
        args_is_null boolean, callback json)
    ) with ordinality as x(kind, args, queue, endpoint, priority, run_at, delay_ms, max_attempts, timeout_ms, expires_at,
        tags, metadata, headers, traceparent, args_is_null, callback, n)
    offset 0
  ),
  checked as (
    select
      i.*,
      array_cat(
        job_faults(i.kind, i.args::text, i.queue, i.endpoint, i.priority, i.run_at, i.delay_ms, i.max_attempts,
          i.timeout_ms, i.expires_at, i.tags, i.metadata, i.headers, i.traceparent),
        case when i.callback is not null then callback_faults(i.callback) end) as faults
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
    insert into job (job_id, run_at, expires_at, lane_id, timeout_ms, priority, max_attempts, args, tags, metadata, headers, trace, callback)
    select job_id, due, expires_at, lane_id, timeout_ms, priority, max_attempts, args, tags, metadata, headers, traceparent, callback
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

-- The same text over jsonb, as in 0007.
do $$ begin
  execute replace(replace(pg_get_functiondef('posthaste.enqueue_json_v1'::regproc),
    'enqueue_json_v1(jobs json,', 'enqueue_jsonb_v1(jobs jsonb,'), 'json_to_recordset(', 'jsonb_to_recordset(');
end $$;

create or replace function posthaste.type_faults(p_item jsonb) returns jsonb
language sql stable as $$
  select case when jsonb_typeof(p_item) is distinct from 'object'
    then jsonb_build_array(posthaste.fault('', 'wrong_type', 'a job must be an object'))
    else (
      select jsonb_agg(posthaste.fault(f.key, c.code, c.message) order by f.key)
      from jsonb_each(p_item) as f
      left join (values
        ('kind', '{string,"null"}'::text[], 'a string'), ('args', null, null), ('queue', '{string,"null"}', 'a string'),
        ('endpoint', '{string,"null"}', 'a string'), ('priority', '{number,"null"}', 'an integer'),
        ('run_at', '{string,"null"}', 'an RFC 3339 time'), ('delay_ms', '{number,"null"}', 'an integer'),
        ('max_attempts', '{number,"null"}', 'an integer'), ('timeout_ms', '{number,"null"}', 'an integer'),
        ('expires_at', '{string,"null"}', 'an RFC 3339 time'), ('tags', '{array,"null"}', 'an array of strings'),
        ('metadata', '{object,"null"}', 'an object'), ('headers', '{object,"null"}', 'an object of strings'),
        ('traceparent', '{string,"null"}', 'a string'), ('callback', '{object,"null"}', 'an object')) as t(key, types, says) on t.key = f.key
      cross join lateral (select case
        when t.key is null then 'unknown_field'
        when not jsonb_typeof(f.value) = any (t.types) then 'wrong_type'
        when jsonb_typeof(f.value) = 'null' then null
        when t.says = 'an integer' then case
          when f.value::text ~ '[.eE]' then 'wrong_type'
          when abs(f.value::numeric) > case when f.key in ('delay_ms', 'timeout_ms') then 9223372036854775807 else 2147483647 end
            then 'out_of_range' end
        when t.says = 'an RFC 3339 time' and not posthaste.is_time(f.value #>> '{}') then 'wrong_format'
        when t.key = 'tags' and jsonb_path_exists(f.value, 'strict $[*] ? (@.type() <> "string")') then 'wrong_type'
        end) as w(code)
      cross join lateral (select w.code, case w.code
        when 'unknown_field' then 'unknown field ' || f.key
        when 'out_of_range' then f.key || ' is out of range'
        else f.key || ' must be ' || t.says end) as c(code, message)
      where c.code is not null and f.key <> 'args'
    ) end
$$;

create or replace function posthaste.enqueue_many(jobs jsonb, notify boolean default true)
returns table (id bigint, error jsonb)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
declare
  v_item jsonb;
  v_fields constant text[] := '{kind,args,queue,endpoint,priority,run_at,delay_ms,max_attempts,timeout_ms,expires_at,tags,metadata,headers,traceparent,callback}';
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
    select from jsonb_array_elements(jobs) as item
    -- What json_to_recordset would mend: unknown fields left out, numbers as texts, texts as times or arrays. These
    -- are type_faults' rules once more, without names: 1.3 us for a job of two fields and 6.6 for one of ten, where
    -- one inlined rule over jsonb_each took 1.9 and 11.6. What is only refused here goes the slow way below; what
    -- only type_faults refuses, a fraction or the 45th of a month, must fail in the recordset and come there too.
    where case when jsonb_typeof(item) <> 'object' then true else item - v_fields <> '{}'
      or jsonb_typeof(item -> 'kind') not in ('string', 'null') or jsonb_typeof(item -> 'queue') not in ('string', 'null')
      or jsonb_typeof(item -> 'endpoint') not in ('string', 'null') or jsonb_typeof(item -> 'priority') not in ('number', 'null')
      or jsonb_typeof(item -> 'delay_ms') not in ('number', 'null') or jsonb_typeof(item -> 'timeout_ms') not in ('number', 'null')
      or jsonb_typeof(item -> 'max_attempts') not in ('number', 'null') or jsonb_typeof(item -> 'tags') not in ('array', 'null')
      or jsonb_typeof(item -> 'metadata') not in ('object', 'null') or jsonb_typeof(item -> 'headers') not in ('object', 'null')
      or jsonb_typeof(item -> 'traceparent') not in ('string', 'null') or jsonb_typeof(item -> 'callback') not in ('object', 'null')
      or item ? 'tags' and jsonb_path_exists(item -> 'tags', 'strict $[*] ? (@.type() <> "string")', '{}', true)
      or item ? 'run_at' and not looks_like_time(item ->> 'run_at')
      or item ? 'expires_at' and not looks_like_time(item ->> 'expires_at') end
  ) then
    begin
      return query select e.id, e.error from enqueue_jsonb_v1(mark_null_args(jobs), notify) as e;
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
          from enqueue_jsonb_v1(mark_null_args(jsonb_build_array(v_item)), notify) as e;
      exception when data_exception then
        error := jsonb_build_array(fault('', 'invalid_value', sqlerrm));
      end;
    end if;
    return next;
  end loop;
end $$;
