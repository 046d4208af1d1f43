-- inbox due: early signals whose turn it is, which others are not looking at. Those of jobs that have ended, or that nobody
-- knows, are dropped; the others are looked at again after a tenth of their age, 1 to 30 s. $1 at most so many.
with due as materialized (
  select b.inbox_id, b.job_id, b.received_at
  from posthaste.inbox b
  where b.look_at <= now()
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
dropped as (
  delete from posthaste.inbox b using judged g where b.inbox_id = g.inbox_id and g.dropped
),
later as (
  update posthaste.inbox b
  set look_at = now() + least(greatest((now() - g.received_at) / 10, interval '1 second'), interval '30 seconds')
  from judged g
  where b.inbox_id = g.inbox_id and not g.dropped
)
select g.job_id, g.dropped from judged g
