-- promote: move runs whose time has come from scheduled to ready; tells how many, and how long until the next.
-- $1 at most so many, $2 the time to compare with (null: the database's now).
with due as (
  select s.ctid as tid
  from posthaste.scheduled s
  where s.run_at <= coalesce($2, now())
  order by s.run_at
  limit $1
  for update skip locked
),
moved as (
  delete from posthaste.scheduled
  where scheduled.ctid = any (array(select tid from due))
  returning job_id, run_at, run_lease, uncounted_since, lane_id, priority, failures, uncounted
),
readied as (
  -- Each row draws a new seq, after the delete gave this transaction its xid.
  insert into posthaste.ready (seq, job_id, run_lease, uncounted_since, lane_id, priority, failures, uncounted)
  select nextval('posthaste.seq'), o.job_id, o.run_lease, o.uncounted_since, o.lane_id, o.priority, o.failures, o.uncounted
  from (select * from moved order by run_at, job_id) o
  returning 1
)
select
  (select count(*) from readied) as promoted,
  (select (extract(epoch from n.run_at - coalesce($2, now())) * 1000)::bigint
   from posthaste.scheduled n
   where n.run_at > coalesce($2, now())
   order by n.run_at
   limit 1) as next_ms,
  case when (select count(*) from readied) > 0 then posthaste.wake()::text end as woken
