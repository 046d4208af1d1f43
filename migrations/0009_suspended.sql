-- 0009 suspended: functions that wait for callbacks, times and other jobs, and are POSTed again when these have come.
--
-- A suspended run is a parked run whose row in `waiting` says how many of its waits wake its function; its waits are rows
-- of `wait`. A wake ends the run as `suspended`, and its job goes again at once: the key of `attempt` makes it happen once.
--
-- Lock order: lease, waiting, (job_id, run_lease) of attempt, continuation. The row of `waiting` stands for the rows of
-- `wait` and the early rows of `inbox` of its run: whoever writes one of those holds it. An end alone, which holds an
-- attempt, takes only rows of `waiting` and `wait` that nobody holds.

alter table posthaste.waiting add column need smallint; -- so many of its waits wake its function; null = not suspended
create or replace view posthaste.parked as
select w.*
from posthaste.waiting w
where not exists (select from posthaste.attempt a where a.job_id = w.job_id and a.run_lease = w.run_lease);

create type posthaste.wait_for as enum ('callback', 'timer', 'jobs');
create table posthaste.wait (
  job_id bigint not null,
  run_lease bigint not null,
  deadline_at timestamptz not null,           -- a timer is met then, any other wait has timed out
  met_at timestamptz,                         -- null = not met
  n smallint not null,                        -- 1-based, in the order given
  need smallint,                              -- so many of the jobs must have ended
  awaits posthaste.wait_for not null,
  timed_out boolean not null default false,
  name text not null,
  jobs bigint[],
  digest bytea,                               -- of the signal that met it
  cel json,
  signature json,
  payload json,                               -- what came; null = nothing, or null
  constraint wait_pkey primary key (job_id, run_lease, n)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
comment on table posthaste.wait is 'What suspended runs wait for, and what has come.';

create table posthaste.continuation (
  job_id bigint not null,
  seq bigint not null default 0,              -- how often steps were stored: what a checkpoint compares
  resumes integer not null default 0,
  resume_timed_out boolean,                   -- null = never resumed
  resume_name text,                           -- of the wait that woke it last
  steps json,                                 -- null = {}
  resume_payload json,
  constraint continuation_pkey primary key (job_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on table posthaste.continuation is
  'What a function has done so far and what woke it last; kept over retries, removed with the range of the job.';

create type posthaste.inbox_why as enum ('early', 'quarantined');
create table posthaste.inbox (
  inbox_id bigint generated always as identity,
  job_id bigint not null,
  run_lease bigint not null,
  lease_id bigint not null,
  received_at timestamptz not null default now(),
  look_at timestamptz,                        -- when a sweep looks for its wait; null = quarantined
  nonce uuid not null,
  why posthaste.inbox_why not null,
  via text not null,                          -- how it came: callback, hook, source:<name>
  wait text,                                  -- the wait that it names; null = the next one
  digest bytea not null,                      -- 16 bytes
  payload bytea,                              -- early: JSON; quarantined: the body as it came; null = null
  headers json,
  error text,                                 -- why it is quarantined
  constraint inbox_pkey primary key (inbox_id)
);
-- The same delivery again is the same row.
create unique index inbox_delivery_idx on posthaste.inbox (job_id, why, run_lease, digest, coalesce(wait, ''));
create index inbox_look_idx on posthaste.inbox (look_at) where look_at is not null;
create index inbox_received_idx on posthaste.inbox (received_at);
comment on table posthaste.inbox is 'What came before its wait was known, and what no expression could judge.';

-- The finalize, for SQL: engine/src/sql/finalize.sql. Version 2 is kept for binaries that are one release behind.
create function posthaste.finalize_v3(
  bigint[], bigint[], bigint[], uuid[], text[], text[], smallint[], bigint[], integer[], integer[], smallint[], text[], text[], text[],
  bigint[], bigint[], text[], bigint[], integer[], smallint[], smallint[], smallint[], timestamptz[], text, bigint[], text[], bytea[]
) returns table (job_id bigint, run_lease bigint, notified bigint, outcome text)
language plpgsql as $finalize$
#variable_conflict use_column
begin
  return query
{{finalize_v3}};
end $finalize$;

create or replace function posthaste.end_run(
  p_job bigint, p_run bigint, p_lease bigint, p_nonce uuid, p_outcome text, p_code text, p_message text, p_attempt integer, p_by text
) returns boolean
language sql as $$
  select count(*) = 1 from posthaste.finalize_v3(
    array[p_job], array[p_run], array[p_lease], array[p_nonce], array[p_outcome], array[null::text], array[null::smallint], array[null::bigint],
    array[null::integer], array[null::integer], array[p_attempt::smallint], array[null::text], array[p_code], array[p_message],
    array[p_job], array[p_run], array[p_code], array[null::bigint], array[null::integer], array[null::smallint],
    array[null::smallint], array[null::smallint], array[null::timestamptz], p_by, array[]::bigint[], array[]::text[], array[]::bytea[])
$$;

revoke all on function posthaste.finalize_v3 from public;
