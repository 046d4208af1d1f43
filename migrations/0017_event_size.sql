-- 0016 event_size: args that Lambda would not queue are refused when a job is enqueued, not when it is dispatched.

-- Whether no event with these args fits what Lambda queues (1 MiB), where the endpoint that would take the job now has it
-- queue. In an event the args are inside a JSON string, which at most doubles them: whoever asks about less than 512 KiB
-- knows the answer. What surrounds the args is counted when the job is dispatched.
create function posthaste.event_too_large(p_kind text, p_endpoint text, p_args text) returns boolean
language plpgsql stable as $$
begin
  return octet_length(to_json(p_args)::text) > 1048576 and exists (
    select from posthaste.endpoint e
    where e.namespace = 1
      and e.name = coalesce(p_endpoint,
        (select k.endpoint from posthaste.endpoint_kind k where k.namespace = 1 and k.kind = p_kind),
        (select k.endpoint from posthaste.endpoint_kind k where k.namespace = 1 and k.kind = '*'))
      and e.spec ->> 'format' = 'lambda' and e.spec ->> 'invocation_type' = 'event');
end $$;
revoke all on function posthaste.event_too_large from public;

-- As in 0003, and the event.
create or replace function posthaste.job_faults(
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
         when octet_length(args) > 524288 and posthaste.event_too_large(kind, endpoint, args)
           then posthaste.fault('args', 'too_large',
             'args must fit an event of Lambda, with its quotes escaped: at most 1048576 bytes; pass a reference to what is large')
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

