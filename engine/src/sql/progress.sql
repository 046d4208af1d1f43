-- progress: what functions report while their runs go on. Members of metadata replace those of the same name; what is null
-- stays. $1 jobs, $2 runs, $3 leases, $4 nonces, $5 percents, $6 messages, $7 metadata, $8 the most bytes of metadata; at
-- most one per job, sorted by job.
with input as (
  select
    unnest($1::bigint[]) as job_id,
    unnest($2::bigint[]) as run_lease,
    unnest($3::bigint[]) as lease_id,
    unnest($4::uuid[]) as nonce,
    unnest($5::float8[]) as percent,
    unnest($6::text[]) as message,
    unnest($7::text[])::jsonb as metadata
),
alive as materialized (
  select
    i.job_id, i.percent, i.message, i.metadata,
    (select true from posthaste.waiting w
     where w.job_id = i.job_id and w.run_lease = i.run_lease and w.lease_id = i.lease_id and w.nonce = i.nonce) as waits
  from input i
  where not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)
),
held as materialized (
  select a.*
  from alive a
  join input i on i.job_id = a.job_id
  where a.waits or exists (
    select from posthaste.lease l
    where l.lease_id = i.lease_id and l.nonce = i.nonce and l.run_leases[array_position(l.job_ids, i.job_id)] = i.run_lease)
),
kept as (
  insert into posthaste.progress as p (job_id, percent, message, metadata)
  select h.job_id, h.percent, h.message, h.metadata
  from held h
  order by h.job_id
  on conflict (job_id) do update
  set at = now(),
    percent = coalesce(excluded.percent, p.percent),
    message = coalesce(excluded.message, p.message),
    metadata = case when p.metadata is null then excluded.metadata else p.metadata || coalesce(excluded.metadata, '{}') end
  where excluded.metadata is null or octet_length((coalesce(p.metadata, '{}') || excluded.metadata)::text) <= $8
  returning p.job_id
)
select
  h.job_id,
  coalesce(h.waits, false) as waits,
  k.job_id is not null as kept,
  exists (select from posthaste.cancel_request c where c.job_id = h.job_id) as cancel_requested
from held h
left join kept k on k.job_id = h.job_id
