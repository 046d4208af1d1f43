-- over: what is left of runs that do not wait any more; their rows in `waiting` are held. $1 jobs.
with gone as (
  delete from posthaste.waiting w where w.job_id = any ($1) returning w.job_id, w.run_lease
)
-- Those of earlier runs too, should an end have left them behind.
delete from posthaste.wait w using gone g where w.job_id = g.job_id and w.run_lease <= g.run_lease
