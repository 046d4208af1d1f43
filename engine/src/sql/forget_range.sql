-- forget range: what small tables still hold of a range whose partitions are gone. $1 its first id.
with gone as (
  delete from posthaste.job_range where lower_id = $1 returning lower_id, upper_id
),
deadlines as (
  delete from posthaste.expiring e using gone g where e.job_id >= g.lower_id and e.job_id < g.upper_id
)
delete from posthaste.cancel_request c using gone g where c.job_id >= g.lower_id and c.job_id < g.upper_id
