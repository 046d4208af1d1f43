-- next look: when the sweep must look at suspended runs again: at the least of their deadlines, and where they wait for
-- jobs, after a tenth of the time that they have waited, 1 to 30 s. $1 jobs, $2 the time that is now (null: the database's).
update posthaste.waiting w
set deadline_at = least(w.hard_at, (
  select min(case when x.awaits = 'jobs' then least(x.deadline_at, i.now
    + least(greatest((i.now - w.parked_at) / 10, interval '1 second'), interval '30 seconds')) else x.deadline_at end)
  from posthaste.wait x
  where x.job_id = w.job_id and x.run_lease = w.run_lease and x.met_at is null and not x.timed_out))
from (select coalesce($2, now()) as now) i
where w.job_id = any ($1)
