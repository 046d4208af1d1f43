-- 0001 ledger: the tables.
--
-- A job never changes; what happens to it is added. `job` is written once. A run that may start now is
-- a narrow row in `ready`, and the claim deletes it; a run that must wait is a row in `scheduled`. A claim
-- batch is one row in `lease`. The end of a run is a row in `attempt`, whose primary key (job_id, run_lease)
-- is the fence: whoever inserts it first has ended the run. The state of a job is where it is.
--
-- Lock order everywhere: lease id, then (job_id, run_lease) of attempt, each set sorted.

create schema if not exists posthaste;

comment on schema posthaste is 'Posthaste: jobs committed in your own transaction, delivered to functions over signed HTTP.';

-- One sequence numbers jobs and ready rows, with no cache: a number is drawn only by a transaction that
-- already has an xid, which is what makes the floor of the claim safe. The first ready row of a job has
-- seq = job_id, so that it can be found without an index of its own.
create sequence posthaste.seq as bigint cache 1;

create table posthaste.installation (
  installation_id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now(),
  singleton boolean not null default true,
  constraint installation_pkey primary key (singleton),
  constraint installation_is_one check (singleton)
);
insert into posthaste.installation default values;
comment on table posthaste.installation is 'One row: who this installation is; idempotency keys are derived from it.';

create table posthaste.lane (
  lane_id integer generated always as identity,
  namespace integer not null default 1,
  queue text not null,
  kind text not null,
  endpoint text,
  constraint lane_pkey primary key (lane_id),
  constraint lane_route_key unique nulls not distinct (namespace, queue, kind, endpoint)
);
comment on table posthaste.lane is
  'A small integer for (queue, kind, named endpoint), interned at enqueue. A claim names the lanes that have permits.';

create table posthaste.job (
  job_id bigint not null,
  created_at timestamptz not null default now(),
  run_at timestamptz,                         -- as asked for; null = at once
  expires_at timestamptz,                     -- unstarted after this: dead, expired
  lane_id integer not null,
  timeout_ms integer,                         -- null = the endpoint's
  priority smallint not null,                 -- 1 first, 4 last
  max_attempts smallint not null,
  namespace integer not null default 1,
  args json not null,
  tags text[],                                -- null = none
  metadata json,                              -- null = {}
  headers json,                               -- null = {}
  trace text,                                 -- traceparent of the enqueue
  constraint job_pkey primary key (job_id)
) partition by range (job_id);
comment on table posthaste.job is 'One row per job, immutable; removed with its range of ids.';

create type posthaste.outcome as enum (
  'completed', 'retried', 'throttled', 'snoozed', 'suspended', 'cancelled', 'dead', 'released', 'rescued', 'timed_out', 'redriven'
);
create type posthaste.class as enum ('responded', 'not_sent', 'unknown');
create type posthaste.ended_by as enum ('dispatcher', 'rescue', 'producer', 'operator', 'maintenance');

create table posthaste.attempt (
  job_id bigint not null,
  run_lease bigint not null,
  lease_id bigint,                            -- the claim batch; null = ended before it was claimed
  started_at timestamptz,                     -- when the POST began; null = never
  finished_at timestamptz not null default now(),
  outcome posthaste.outcome not null,
  class posthaste.class,                      -- null = nothing was sent
  ended_by posthaste.ended_by not null,
  headers_us integer,                         -- POST begun → answer's head read
  body_us integer,                            -- head → end of body
  attempt smallint not null,                  -- number shown to people; counts failures only
  http_status smallint,
  error_code text,
  error_message text,
  result json,
  constraint attempt_pkey primary key (job_id, run_lease)
) partition by range (job_id);
comment on table posthaste.attempt is 'One row per ended run; its primary key is the fence.';

create table posthaste.ready (
  seq bigint not null,
  job_id bigint not null,
  run_lease bigint not null,
  uncounted_since timestamptz,
  lane_id integer not null,
  priority smallint not null,
  failures smallint not null,
  uncounted smallint not null,
  constraint ready_pkey primary key (lane_id, priority, seq)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create index ready_later_run_idx on posthaste.ready (job_id) where seq <> job_id;
comment on table posthaste.ready is 'Runs that may start now; deleted by the claim.';

create table posthaste.scheduled (
  job_id bigint not null,
  run_at timestamptz not null,
  run_lease bigint not null,
  uncounted_since timestamptz,
  lane_id integer not null,
  priority smallint not null,
  failures smallint not null,
  uncounted smallint not null,
  constraint scheduled_pkey primary key (job_id)
);
create index scheduled_due_idx on posthaste.scheduled (run_at);
comment on table posthaste.scheduled is 'Runs that wait for a time; promoted into ready.';

create table posthaste.lease (
  lease_id bigint not null,                   -- chosen by the client: dispatcher_id << 32 | counter
  dispatcher_id bigint not null,
  claimed_at timestamptz not null default now(),
  expires_at timestamptz not null,
  nonce uuid not null,                        -- what a counter cannot give after a failover that lost commits
  job_ids bigint[] not null,
  run_leases bigint[] not null,
  failures smallint[] not null,
  uncounted smallint[] not null,
  constraint lease_pkey primary key (lease_id)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
-- At most 200 runs fit a page uncompressed; compressing them costs more than it saves.
alter table posthaste.lease
  alter column job_ids set storage plain,
  alter column run_leases set storage plain,
  alter column failures set storage plain,
  alter column uncounted set storage plain;
comment on table posthaste.lease is 'One row per claim batch; removed when each of its runs has ended.';

create table posthaste.dispatcher (
  dispatcher_id bigint generated always as identity,
  beat bigint not null default 0,             -- only its change matters, never a wall clock
  started_at timestamptz not null default now(),
  beat_at timestamptz not null default now(), -- for people
  host text not null,
  version text not null,
  state json not null default '{}',           -- in flight, breakers: for people
  constraint dispatcher_pkey primary key (dispatcher_id)
) with (fillfactor = 50);
comment on table posthaste.dispatcher is 'One row per running dispatcher; its heartbeat.';

create table posthaste.dead_letter (
  job_id bigint not null,
  dead_at timestamptz not null default now(),
  created_at timestamptz not null,
  run_lease bigint not null,
  timeout_ms integer,
  attempt smallint not null,
  max_attempts smallint not null,
  priority smallint not null,
  namespace integer not null default 1,
  reason text not null,
  queue text not null,
  kind text not null,
  endpoint text,
  error_code text,
  error_message text,
  args json not null,
  tags text[],
  metadata json,
  headers json,
  constraint dead_letter_pkey primary key (job_id)
);
create index dead_letter_dead_at_idx on posthaste.dead_letter (dead_at, job_id);
comment on table posthaste.dead_letter is 'Jobs that gave up: own copies, which outlive their range.';

create table posthaste.expiring (
  job_id bigint not null,
  expires_at timestamptz not null,
  constraint expiring_pkey primary key (job_id)
);
create index expiring_at_idx on posthaste.expiring (expires_at);
comment on table posthaste.expiring is 'Jobs with expires_at, so that one which is never claimed still ends.';

create table posthaste.cancel_request (
  job_id bigint not null,
  requested_at timestamptz not null default now(),
  reason text,
  constraint cancel_request_pkey primary key (job_id)
);
comment on table posthaste.cancel_request is 'Running jobs that somebody asked to cancel; consumed by the end of the run.';

create table posthaste.request_key (
  namespace integer not null default 1,
  key text not null,
  fingerprint bytea not null,
  job_id bigint,
  expires_at timestamptz not null default now() + interval '24 hours',
  constraint request_key_pkey primary key (namespace, key)
);
create index request_key_expires_idx on posthaste.request_key (expires_at);
comment on table posthaste.request_key is 'Idempotency keys of REST enqueues, kept 24 h.';

create table posthaste.endpoint (
  namespace integer not null default 1,
  name text not null,
  spec json not null,                         -- as written, checked at the door, without its secret
  secret bytea not null,                      -- sealed under POSTHASTE_SECRET_KEYS
  version bigint not null default 1,
  paused_at timestamptz,
  paused_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint endpoint_pkey primary key (namespace, name)
);
comment on table posthaste.endpoint is 'Named HTTP targets; dispatchers reload them while running.';

create table posthaste.endpoint_kind (
  namespace integer not null default 1,
  kind text not null,
  endpoint text not null,
  constraint endpoint_kind_pkey primary key (namespace, kind),
  constraint endpoint_kind_endpoint_fkey foreign key (namespace, endpoint)
    references posthaste.endpoint (namespace, name) on delete cascade
);
create index endpoint_kind_endpoint_idx on posthaste.endpoint_kind (namespace, endpoint);
comment on table posthaste.endpoint_kind is 'Which endpoint takes a kind; * takes every kind nobody else takes.';

create table posthaste.api_key (
  key_id text not null,
  name text not null,
  verifier bytea not null,                    -- BLAKE3 of the key; the key itself is shown once
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint api_key_pkey primary key (key_id)
);
comment on table posthaste.api_key is 'REST keys, hashed.';

create table posthaste.job_range (
  lower_id bigint not null,
  upper_id bigint not null,                   -- exclusive
  created_at timestamptz not null default now(),
  constraint job_range_pkey primary key (lower_id),
  constraint job_range_upper_key unique (upper_id)
);
comment on table posthaste.job_range is 'The ranges of job ids that have partitions of job and attempt.';
