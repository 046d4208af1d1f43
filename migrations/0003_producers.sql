-- 0003 producers: the contract for whoever enqueues, in any language, inside their own transaction. The batch is 0007.
--
-- Validation, defaults and the wake-up live here once. Faults are raised as SQLSTATE PH422 with the list
-- of faults, [{"field", "code", "message"}], as the error's detail.

create function posthaste.fault(field text, code text, message text) returns jsonb
language sql immutable as $$ select jsonb_build_object('field', field, 'code', code, 'message', message) $$;

-- The deepest nesting of a JSON text. Only called for texts with more than 64 brackets.
create function posthaste.json_depth(p_json text) returns integer
language plpgsql immutable as $$
declare
  v_plain text := regexp_replace(regexp_replace(p_json, '\\.', '', 'g'), '"[^"]*"', '', 'g');
  v_depth integer := 0;
  v_max integer := 0;
  v_char text;
begin
  foreach v_char in array regexp_split_to_array(regexp_replace(v_plain, '[^][{}]', '', 'g'), '') loop
    if v_char in ('[', '{') then
      v_depth := v_depth + 1;
      v_max := greatest(v_max, v_depth);
    else
      v_depth := v_depth - 1;
    end if;
  end loop;
  return v_max;
end $$;

-- Whether a JSON text is too deep (more than 64) or holds an escaped NUL, which Postgres text cannot.
create function posthaste.json_too_deep(p_json text) returns boolean
language sql immutable as $$
  -- By bytes: counting characters was a quarter of an enqueue.
  select octet_length(p_json) - octet_length(replace(replace(p_json, '[', ''), '{', '')) > 64
    and posthaste.json_depth(p_json) > 64
$$;
create function posthaste.json_has_nul(p_json text) returns boolean
language sql immutable as $$
  select strpos(p_json, '\u0000') > 0 and p_json ~ '(^|[^\\])(\\\\)*\\u0000'
$$;

create function posthaste.name_fault(p_field text, p_name text) returns jsonb
language sql immutable as $$
  select case
    when p_name is null or p_name = '' then posthaste.fault(p_field, 'required', p_field || ' must be a non-empty name')
    when length(p_name) > 200 then posthaste.fault(p_field, 'too_long', p_field || ' must have at most 200 characters')
    else posthaste.fault(p_field, 'invalid_name', p_field || ' may hold only letters, digits and . _ : / -, the first a letter or digit')
  end
$$;

-- Tags: at most 20, each 1–200 characters.
create function posthaste.tag_faults(p_tags text[]) returns jsonb
language sql immutable as $$
  select case
    when array_ndims(p_tags) > 1 or cardinality(p_tags) > 20 then posthaste.fault('tags', 'too_many', 'at most 20 tags')
    else (
      select posthaste.fault('tags[' || (n - 1) || ']', 'invalid_tag', 'a tag must have 1 to 200 characters and no control characters')
      from unnest(p_tags) with ordinality as t(tag, n)
      where tag is null or length(tag) not between 1 and 200 or tag ~ '[[:cntrl:]]'
      limit 1)
  end
$$;

-- Job headers: an object of strings; valid names outside the contract's forbidden list, printable values.
create function posthaste.header_faults(p_headers json) returns jsonb
language sql immutable as $$
  select case
    when json_typeof(p_headers) <> 'object' then posthaste.fault('headers', 'wrong_type', 'headers must be an object of strings')
    when length(p_headers::text) > 8192 then posthaste.fault('headers', 'too_large', 'headers must have at most 8192 bytes')
    when posthaste.json_has_nul(p_headers::text) then posthaste.fault('headers', 'nul_character', 'headers must not contain \u0000')
    else (
      select case
        when json_typeof(value) <> 'string' then posthaste.fault('headers.' || key, 'wrong_type', 'a header value must be a string')
        when key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,100}$' then posthaste.fault('headers.' || left(key, 100), 'invalid_header', 'not a valid header name')
        when value #>> '{}' ~ '[^\t\x20-\x7e]' then posthaste.fault('headers.' || key, 'invalid_header', 'a header value must be printable ASCII')
        else posthaste.fault('headers.' || key, 'forbidden_header', 'this header is set by Posthaste or by the endpoint')
      end
      from json_each(p_headers)
      where case when json_typeof(value) <> 'string' then true else
           key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,100}$'
        or value #>> '{}' ~ '[^\t\x20-\x7e]'
        or lower(key) in ('host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect',
             'content-length', 'content-type', 'content-encoding', 'accept-encoding', 'user-agent', 'authorization', 'cookie',
             'idempotency-key', 'traceparent', 'tracestate')
        or lower(key) ~ '^(proxy-|posthaste-|webhook-|ce-|x-amz-|x-serverless-authorization)' end
      limit 1)
  end
$$;

-- Every rule of a job, in one expression that Postgres inlines into the insert: null when the job is sound.
create function posthaste.job_faults(
  kind text, args text, queue text, endpoint text, priority integer, run_at timestamptz, delay_ms bigint,
  max_attempts integer, timeout_ms bigint, expires_at timestamptz, tags text[], metadata json, headers json, trace text
) returns jsonb[]
language sql stable as $$
  select nullif(array_remove(array[
    case when kind is null or kind = '' or length(kind) > 200 or kind !~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]*$'
      then posthaste.name_fault('kind', kind) end,
    case when queue is null or queue = '' or length(queue) > 200 or queue !~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]*$'
      then posthaste.name_fault('queue', queue) end,
    case when endpoint is not null and (endpoint = '' or length(endpoint) > 200 or endpoint !~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]*$')
      then posthaste.name_fault('endpoint', endpoint) end,
    case when args is null then posthaste.fault('args', 'required', 'args must be a JSON value')
         when octet_length(args) > 1048576 then posthaste.fault('args', 'too_large', 'args must have at most 1048576 bytes')
         when posthaste.json_too_deep(args) then posthaste.fault('args', 'too_deep', 'args must be nested at most 64 deep')
         when posthaste.json_has_nul(args) then posthaste.fault('args', 'nul_character', 'args must not contain \u0000') end,
    case when priority is null or priority not between 1 and 4
      then posthaste.fault('priority', 'out_of_range', 'priority must be from 1 (first) to 4') end,
    case when max_attempts is null or max_attempts not between 1 and 1000
      then posthaste.fault('max_attempts', 'out_of_range', 'max_attempts must be from 1 to 1000') end,
    case when run_at is not null and delay_ms is not null
           then posthaste.fault('delay_ms', 'conflict', 'give run_at or delay_ms, not both')
         when delay_ms not between 0 and 315360000000
           then posthaste.fault('delay_ms', 'out_of_range', 'delay_ms must be from 0 to 315360000000 (10 years)')
         when not isfinite(run_at) or run_at not between '2000-01-01Z' and '2200-01-01Z'
           then posthaste.fault('run_at', 'out_of_range', 'run_at must be a time between the years 2000 and 2200') end,
    case when timeout_ms not between 1 and 3600000
      then posthaste.fault('timeout_ms', 'out_of_range', 'timeout_ms must be from 1 to 3600000 (one hour)') end,
    case when expires_at is not null and (not isfinite(expires_at) or expires_at > '2200-01-01Z' or expires_at <= now())
      then posthaste.fault('expires_at', 'out_of_range', 'expires_at must be a time in the future, before the year 2200')
         when expires_at is not null and expires_at <= coalesce(run_at, now() + least(coalesce(delay_ms, 0), 315360000000) * interval '1 millisecond')
      then posthaste.fault('expires_at', 'conflict', 'expires_at must be after run_at') end,
    case when cardinality(tags) > 0 then posthaste.tag_faults(tags) end,
    case when metadata is not null then
      case when json_typeof(metadata) <> 'object' then posthaste.fault('metadata', 'wrong_type', 'metadata must be an object')
           when octet_length(metadata::text) > 65536 then posthaste.fault('metadata', 'too_large', 'metadata must have at most 65536 bytes')
           when posthaste.json_too_deep(metadata::text) then posthaste.fault('metadata', 'too_deep', 'metadata must be nested at most 64 deep')
           when posthaste.json_has_nul(metadata::text) then posthaste.fault('metadata', 'nul_character', 'metadata must not contain \u0000') end end,
    case when headers is not null then posthaste.header_faults(headers) end,
    case when trace is not null and trace !~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$'
      then posthaste.fault('traceparent', 'invalid', 'traceparent must be a W3C trace context of version 00') end
  ], null), '{}')
$$;

-- Wakes idle dispatchers. A commit with NOTIFY takes a global lock, so it is used only when somebody sleeps:
-- an idle dispatcher holds, or waits for, the exclusive lock, and only then does this try fail.
create function posthaste.wake() returns void
language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock_shared(28776, 1) then
    perform pg_notify('posthaste_ready', '');
  end if;
end $$;

-- The lane of a route, made when it is new. A new lane is announced at once: dispatchers cache lanes.
create function posthaste.intern_lane(p_queue text, p_kind text, p_endpoint text) returns integer
language plpgsql as $$
declare
  v_lane integer;
begin
  loop
    select lane_id into v_lane from posthaste.lane l
      where l.namespace = 1 and l.queue = p_queue and l.kind = p_kind and l.endpoint is not distinct from p_endpoint;
    if found then
      return v_lane;
    end if;
    insert into posthaste.lane (queue, kind, endpoint) values (p_queue, p_kind, p_endpoint)
      on conflict do nothing returning lane_id into v_lane;
    if found then
      perform pg_notify('posthaste_config', 'lane');
      return v_lane;
    end if;
  end loop;
end $$;

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
  notify boolean default true
) returns bigint
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_variable
declare
  v_faults jsonb[] := job_faults(kind, args::text, queue, endpoint, priority, run_at, delay_ms, max_attempts,
    timeout_ms, expires_at, tags, metadata, headers, traceparent);
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
  insert into job (job_id, run_at, expires_at, lane_id, timeout_ms, priority, max_attempts, args, tags, metadata, headers, trace)
    values (v_id, v_due, expires_at, v_lane, timeout_ms, priority, max_attempts, args, nullif(tags, '{}'), metadata, headers, traceparent);
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

revoke all on function posthaste.intern_lane, posthaste.wake from public;
