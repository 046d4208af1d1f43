-- waits: what these runs wait for, and what has become of it. $1 jobs, $2 runs, $3 whether time and other jobs are looked
-- at, $4 the time to compare with (null: the database's now).
select
  w.job_id,
  w.n,
  w.name,
  w.awaits::text as awaits,
  w.met_at is not null as met,
  w.timed_out,
  w.deadline_at <= coalesce($4, now()) as passed,
  -- A job that nobody knows, or knows no more, will not end: it counts.
  coalesce($3 and w.awaits = 'jobs' and w.met_at is null and not w.timed_out and w.need <= (
    select count(*)
    from unnest(w.jobs) as other (job_id)
    where coalesce((
        select a.outcome in ('completed', 'cancelled', 'dead')
        from posthaste.attempt a where a.job_id = other.job_id
        order by a.run_lease desc limit 1), false)
      or not exists (select from posthaste.job j where j.job_id = other.job_id)
  ), false) as enough,
  w.cel is not null as has_cel,
  w.digest
from unnest($1::bigint[], $2::bigint[]) as i (job_id, run_lease)
join posthaste.wait w on w.job_id = i.job_id and w.run_lease = i.run_lease
order by w.job_id, w.n
