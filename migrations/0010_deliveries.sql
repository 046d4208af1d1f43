-- 0010 deliveries: what came to the gateway and what became of it, and the named sources it may come from.

create type posthaste.delivery_via as enum ('callback', 'hook', 'source');
create type posthaste.delivery_verdict as enum ('applied', 'duplicate', 'ignored', 'buffered', 'quarantined', 'rejected');

-- A callback that ended its run is in `attempt` and not here; signs of life are in neither.
create table posthaste.delivery (
  delivery_id bigint generated always as identity,
  at timestamptz not null default now(),
  job_id bigint,                              -- null = no job was found
  run_lease bigint,                           -- null = the sender did not name a run
  inbox_id bigint,                            -- what was kept of it, to be replayed; null = nothing
  bytes integer not null,                     -- of its body
  via posthaste.delivery_via not null,
  verdict posthaste.delivery_verdict not null,
  action text,                                -- what it asked for; null = a webhook that nobody understood
  reason text,                                -- a problem's code, or what a filter said
  source text,                                -- the name, for via source
  constraint delivery_pkey primary key (delivery_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index delivery_job_idx on posthaste.delivery (job_id, delivery_id) where job_id is not null;
comment on table posthaste.delivery is 'The last deliveries that did not simply end a run: at most seven days, and 100,000.';

-- Every delivery of a job, whether it ended a run or not.
create view posthaste.deliveries as
select d.delivery_id, d.at, d.job_id, d.run_lease, d.via::text as via, d.action, d.verdict::text as verdict, d.reason, d.bytes, d.source
from posthaste.delivery d
union all
select null, a.finished_at, a.job_id, a.run_lease, 'callback', a.action::text, 'applied', null, null, null
from posthaste.attempt a
where a.action is not null
  and not exists (
    select from posthaste.delivery d where d.job_id = a.job_id and d.run_lease = a.run_lease and d.verdict = 'applied');
comment on view posthaste.deliveries is 'What came to the gateway and what became of it. Ask for one job_id: ended runs are found by job only.';

create table posthaste.source (
  namespace integer not null default 1,
  name text not null,
  spec json not null,                         -- complete with defaults, without secrets in the clear
  secret bytea,                               -- sealed; the associated text is `source:` and its name; null = references only
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint source_pkey primary key (namespace, name)
);
comment on table posthaste.source is 'Named senders of webhooks: how they sign, and how their jobs are found.';

-- What is kept until a gateway can judge it, beside what waits for an operator.
alter table posthaste.inbox
  add column judge_at timestamptz,            -- when a gateway judges it next; null = not before an operator asks
  add column verified boolean not null default true; -- its signature was verified when it came
create index inbox_judge_idx on posthaste.inbox (judge_at) where judge_at is not null;
