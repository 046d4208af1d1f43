-- checkpoint: steps that functions store while their runs go on, merged by name, if the seq that they know still stands.
-- $1 jobs, $2 runs, $3 leases, $4 nonces, $5 seqs (null: the one that stands), $6 steps, $7 the most bytes in all; at most
-- one per job, sorted by job. Values are never parsed: they stay as they were written.
with input as (
  select
    unnest($1::bigint[]) as job_id,
    unnest($2::bigint[]) as run_lease,
    unnest($3::bigint[]) as lease_id,
    unnest($4::uuid[]) as nonce,
    unnest($5::bigint[]) as seq,
    unnest($6::text[])::json as steps
),
alive as materialized (
  select
    i.*,
    (select true from posthaste.waiting w
     where w.job_id = i.job_id and w.run_lease = i.run_lease and w.lease_id = i.lease_id and w.nonce = i.nonce) as waits
  from input i
  where not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)
),
stored as materialized (
  select a.job_id, a.seq as given, a.steps, coalesce(a.waits, false) as waits, coalesce(c.seq, 0) as seq, c.steps as old
  from alive a
  left join posthaste.continuation c on c.job_id = a.job_id
  where a.waits or exists (
    select from posthaste.lease l
    where l.lease_id = a.lease_id and l.nonce = a.nonce and l.run_leases[array_position(l.job_ids, a.job_id)] = a.run_lease)
),
merged as materialized (
  select
    s.job_id, s.seq,
    (select coalesce('{' || string_agg(to_json(coalesce(n.key, o.key))::text || ':' || coalesce(n.value, o.value), ','
       order by o.at, n.at) || '}', '{}')
     from (select key, value::text, at from json_each(coalesce(s.old, '{}')) with ordinality as e (key, value, at)) o
     full join (select key, value::text, at from json_each(s.steps) with ordinality as e (key, value, at)) n
       on n.key = o.key) as steps
  from stored s
  where coalesce(s.given, s.seq) = s.seq
),
-- Whoever stored since this statement began to look has made the seq another one: what was merged is not stored then.
kept as (
  insert into posthaste.continuation as c (job_id, seq, steps)
  select m.job_id, m.seq + 1, m.steps::json
  from merged m
  where octet_length(m.steps) <= $7
  order by m.job_id
  on conflict (job_id) do update
  set seq = excluded.seq, steps = excluded.steps
  where c.seq = excluded.seq - 1
  returning c.job_id
)
select
  s.job_id,
  s.waits,
  case
    when k.job_id is not null then 'kept'
    when m.job_id is null then 'conflict'
    when octet_length(m.steps) > $7 then 'too_large'
    else 'overtaken'
  end as verdict,
  s.seq,
  case when m.job_id is null then s.old::text end as steps,
  exists (select from posthaste.cancel_request c where c.job_id = s.job_id) as cancel_requested
from stored s
left join merged m on m.job_id = s.job_id
left join kept k on k.job_id = s.job_id
