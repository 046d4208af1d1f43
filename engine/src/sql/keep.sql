-- keep: what came too early, or could not be judged. $1 why; one element each: $2 jobs, $3 runs, $4 leases, $5 nonces, $6
-- how they came, $7 waits, $8 digests, $9 payloads, $10 headers, $11 errors; $12 the most that are kept of one job; $13 whether
-- gateways are to judge them, whose signatures nobody has verified. The same again is the same row. Returns the number of each,
-- in order; null for one that is not kept, or that others are writing.
with input as (
  select *
  from unnest(
    $2::bigint[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::text[], $8::bytea[], $9::bytea[], $10::text[],
    $11::text[]) with ordinality
    as i (job_id, run_lease, lease_id, nonce, via, wait, digest, payload, headers, error, n)
),
before as materialized (
  select i.job_id, count(b.inbox_id) as kept
  from (select distinct job_id from input) i
  left join posthaste.inbox b on b.job_id = i.job_id and b.why = $1::posthaste.inbox_why
  group by i.job_id
),
kept as (
  insert into posthaste.inbox (
    job_id, run_lease, lease_id, look_at, judge_at, verified, nonce, why, via, wait, digest, payload, headers, error)
  select
    i.job_id, i.run_lease, i.lease_id, case when $1 = 'early' then now() + interval '1 second' end,
    case when $13 then now() + interval '1 second' end, not $13, i.nonce,
    $1::posthaste.inbox_why, i.via, i.wait, i.digest, i.payload, i.headers::json, i.error
  from (select x.*, row_number() over (partition by x.job_id order by x.n) as nth from input x) i
  join before b on b.job_id = i.job_id
  where b.kept + i.nth <= $12
    -- A signal is kept for a run that goes on, under its nonce.
    and ($1 <> 'early'
      or exists (
        select from posthaste.parked w
        where w.job_id = i.job_id and w.run_lease = i.run_lease and w.lease_id = i.lease_id and w.nonce = i.nonce)
      or exists (
        select from posthaste.lease l
        where l.lease_id = i.lease_id and l.nonce = i.nonce
          and l.run_leases[array_position(l.job_ids, i.job_id)] = i.run_lease
          and not exists (select from posthaste.attempt a where a.job_id = i.job_id and a.run_lease = i.run_lease)))
  order by i.job_id, i.run_lease, i.digest, i.wait
  on conflict (job_id, why, run_lease, digest, coalesce(wait, '')) do nothing
  returning inbox_id, job_id, run_lease, digest, wait
)
select coalesce(
  (select k.inbox_id from kept k
   where k.job_id = i.job_id and k.run_lease = i.run_lease and k.digest = i.digest
     and coalesce(k.wait, '') = coalesce(i.wait, '')),
  (select b.inbox_id from posthaste.inbox b
   where b.job_id = i.job_id and b.why = $1::posthaste.inbox_why and b.run_lease = i.run_lease and b.digest = i.digest
     and coalesce(b.wait, '') = coalesce(i.wait, ''))) as inbox_id
from input i
order by i.n
