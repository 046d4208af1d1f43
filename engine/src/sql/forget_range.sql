-- forget range: what small tables still hold of a range whose partitions are gone. $1 its first id.
with gone as (
  delete from posthaste.job_range where lower_id = $1 returning lower_id, upper_id
),
reports as (
  delete from posthaste.progress p using gone g where p.job_id >= g.lower_id and p.job_id < g.upper_id
),
waits as (
  delete from posthaste.waiting w using gone g where w.job_id >= g.lower_id and w.job_id < g.upper_id
),
awaited as (
  delete from posthaste.wait w using gone g where w.job_id >= g.lower_id and w.job_id < g.upper_id
),
continuations as (
  delete from posthaste.continuation c using gone g where c.job_id >= g.lower_id and c.job_id < g.upper_id
),
deliveries as (
  delete from posthaste.inbox b using gone g where b.job_id >= g.lower_id and b.job_id < g.upper_id
),
deadlines as (
  delete from posthaste.expiring e using gone g where e.job_id >= g.lower_id and e.job_id < g.upper_id
)
delete from posthaste.cancel_request c using gone g where c.job_id >= g.lower_id and c.job_id < g.upper_id
