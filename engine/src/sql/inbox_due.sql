-- inbox due: early signals whose turn it is, which others are not looking at. Those of jobs that have ended, or that nobody
-- knows, are dropped, as the delivery log says. One that names no wait, of a run whose wait has expressions of its own, is
-- given to the gateways, to be judged for that run, once: the same one, kept of several runs, is dropped. The others are looked
-- at again after a tenth of their age, 1 to 30 s. $1 at most so many, $2 only this one (null: all).
with due as materialized (
  select b.inbox_id, b.job_id, b.received_at, b.wait, b.digest
  from posthaste.inbox b
  where b.look_at <= now() and ($2::bigint is null or b.inbox_id = $2)
  order by b.look_at
  limit $1
  for update skip locked
),
judged as materialized (
  select d.*,
    coalesce((
      select a.outcome in ('completed', 'cancelled', 'dead')
      from posthaste.attempt a where a.job_id = d.job_id
      order by a.run_lease desc limit 1), false)
    or not exists (select from posthaste.job j where j.job_id = d.job_id) as dropped
  from due d
),
unjudged as materialized (
  select
    g.inbox_id, w.run_lease, w.lease_id, w.nonce,
    row_number() over (partition by g.job_id, g.digest order by g.inbox_id) > 1 or exists (
      select from posthaste.inbox o
      where o.job_id = w.job_id and o.why = 'quarantined' and o.run_lease = w.run_lease and o.digest = g.digest and o.wait is null
    ) as again
  from judged g
  join posthaste.parked w on w.job_id = g.job_id and w.need is not null
  where not g.dropped and g.wait is null
    and exists (
      select from posthaste.wait x
      where x.job_id = w.job_id and x.run_lease = w.run_lease and x.cel is not null and x.met_at is null and not x.timed_out)
),
dropped as (
  delete from posthaste.inbox b
  where b.inbox_id = any (array(
    select g.inbox_id from judged g where g.dropped union all select u.inbox_id from unjudged u where u.again))
  returning b.inbox_id, b.job_id, b.run_lease, b.payload, split_part(b.via, ':', 1) as via, substr(b.via, strpos(b.via, ':') + 1) as what
),
logged as (
  insert into posthaste.delivery (job_id, run_lease, inbox_id, bytes, via, verdict, action, reason, source)
  select
    d.job_id, d.run_lease, d.inbox_id, coalesce(octet_length(d.payload), 0), d.via::posthaste.delivery_via, 'rejected',
    case when d.via = 'callback' then d.what end, 'it was kept, and its job has ended', case when d.via = 'source' then d.what end
  from dropped d
  join judged g on g.inbox_id = d.inbox_id and g.dropped
  where d.via in ('callback', 'hook', 'source')
),
given as (
  update posthaste.inbox b
  set why = 'quarantined', look_at = null, judge_at = now(), run_lease = u.run_lease, lease_id = u.lease_id, nonce = u.nonce
  from unjudged u
  where b.inbox_id = u.inbox_id and not u.again
),
later as (
  update posthaste.inbox b
  set look_at = now() + least(greatest((now() - g.received_at) / 10, interval '1 second'), interval '30 seconds')
  from judged g
  where b.inbox_id = g.inbox_id and not g.dropped and b.inbox_id not in (select u.inbox_id from unjudged u)
)
select g.job_id, g.dropped from judged g
