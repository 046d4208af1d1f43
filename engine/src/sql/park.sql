-- park: runs whose function answered 202, or gave its first sign of life, wait for a callback. A newer run's row replaces
-- an older one's, never the reverse; a run that has ended is left alone.
-- $1–$16 one element per run, at most one per job, sorted by job; $17 leases whose last runs these are; see
-- engine/src/park.rs.
with input as (
  select
    unnest($1::bigint[]) as job_id, unnest($2::bigint[]) as run_lease,
    unnest($3::bigint[]) as lease_id, unnest($4::uuid[]) as nonce,
    unnest($5::integer[]) as lane_id,
    unnest($6::smallint[]) as priority, unnest($7::smallint[]) as failures, unnest($8::smallint[]) as uncounted,
    unnest($9::timestamptz[]) as uncounted_since,
    unnest($10::bigint[]) as callback_ms, unnest($11::bigint[]) as heartbeat_ms, unnest($12::bigint[]) as max_run_ms,
    unnest($13::smallint[]) as http_status, unnest($14::bigint[]) as age_us,
    unnest($15::integer[]) as headers_us, unnest($16::integer[]) as body_us
),
-- Many callbacks come before the park of their run is written: what has ended costs nothing more.
looked as materialized (
  select i.*, a.ended is true as ended
  from input i left join lateral (
    select true as ended from posthaste.attempt x where x.job_id = i.job_id and x.run_lease = i.run_lease limit 1) a on true
),
-- A rescue that holds the lease is waited for; it then holds no more, and the park is issued again with a new snapshot.
held as materialized (
  select l.lease_id, l.nonce, l.claimed_at from posthaste.lease l
  where l.lease_id = any (array(select o.lease_id from looked o where not o.ended))
  order by l.lease_id for key share
),
-- Parked before: by its heartbeat, a rescue, or this very statement whose answer was lost.
before as materialized (
  select w.job_id, w.run_lease, w.lease_id, w.nonce, w.deadline_at, w.hard_at from posthaste.waiting w
  where w.job_id = any (array(select o.job_id from looked o where not o.ended))
),
judged as materialized (
  select
    -- While the lease is held, its dispatcher knows the endpoint best; a gateway that parked first may not have read it yet.
    o.*, coalesce(h.claimed_at + o.max_run_ms * interval '1 millisecond', b.hard_at) as hard_at, b.deadline_at
  from looked o
  left join held h on h.lease_id = o.lease_id and h.nonce = o.nonce
  left join before b
    on b.job_id = o.job_id and b.run_lease = o.run_lease and b.lease_id = o.lease_id and b.nonce = o.nonce
),
-- Each wait of a job is a run of its own: the wait number, as in tokens, is 0.
parked as (
  insert into posthaste.waiting as w (
    job_id, run_lease, lease_id, nonce, wait_number, deadline_at, hard_at, started_at, uncounted_since, callback_ms,
    heartbeat_ms, lane_id, headers_us, body_us, priority, failures, uncounted, http_status)
  select
    g.job_id, g.run_lease, g.lease_id, g.nonce, 0,
    least(now() + coalesce(g.heartbeat_ms, g.callback_ms) * interval '1 millisecond', g.hard_at), g.hard_at,
    now() - g.age_us * interval '1 microsecond', g.uncounted_since, g.callback_ms, g.heartbeat_ms, g.lane_id, g.headers_us,
    g.body_us, g.priority, g.failures, g.uncounted, g.http_status
  from judged g
  where not g.ended and g.hard_at is not null
  order by g.job_id
  on conflict (job_id) do update
  set (run_lease, lease_id, nonce, hard_at, started_at, uncounted_since, callback_ms, heartbeat_ms, lane_id,
      headers_us, body_us, priority, failures, uncounted, http_status, need, parked_at, deadline_at)
    = row(excluded.run_lease, excluded.lease_id, excluded.nonce, excluded.hard_at, excluded.started_at,
      excluded.uncounted_since, excluded.callback_ms, excluded.heartbeat_ms, excluded.lane_id, excluded.headers_us,
      excluded.body_us, excluded.priority, excluded.failures, excluded.uncounted, excluded.http_status, null,
      case when w.run_lease = excluded.run_lease then w.parked_at else now() end,
      -- A heartbeat that came first may have moved the deadline further than the 202 asks, or than the run may take.
      least(greatest(case when w.run_lease = excluded.run_lease then w.deadline_at end, excluded.deadline_at), excluded.hard_at))
  where w.run_lease < excluded.run_lease
    or (w.run_lease = excluded.run_lease and w.nonce = excluded.nonce and excluded.http_status is not null and w.need is null)
  returning w.job_id, w.run_lease, w.deadline_at
)
-- <drained>
-- After the park, which must find the row; skip locked, as in finalize.
, drained as (
  delete from posthaste.lease
  where lease.ctid = any (array(
    select l.ctid from posthaste.lease l
    where l.lease_id = any ($17::bigint[]) and (select count(*) from parked) >= 0
    for update skip locked))
)
-- </drained>
select g.job_id, g.run_lease, g.ended, coalesce(p.deadline_at, g.deadline_at) as deadline_at
from judged g
left join parked p on p.job_id = g.job_id
