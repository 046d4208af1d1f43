-- met: waits that are met, or have timed out. $1 jobs, $2 runs, $3 numbers, $4 whether they timed out, $5 digests, $6
-- payloads. The payload of a wait for jobs is those of its jobs that have ended; results past 1 MiB together are left out.
update posthaste.wait w
set met_at = case when not i.timed_out then now() end, timed_out = i.timed_out, digest = i.digest,
  payload = case when w.awaits = 'jobs' and not i.timed_out then (
    select json_object_agg(e.job_id, json_build_object(
      'state', e.outcome, 'result', case when e.bytes <= 1048576 then e.result end) order by e.at)
    from (
      select o.job_id, o.at, a.outcome, a.result, sum(octet_length(a.result::text)) over (order by o.at) as bytes
      from unnest(w.jobs) with ordinality as o (job_id, at)
      left join lateral (
        select x.outcome, x.result from posthaste.attempt x
        where x.job_id = o.job_id order by x.run_lease desc limit 1
      ) a on true
      where a.outcome in ('completed', 'cancelled', 'dead')
        or not exists (select from posthaste.job j where j.job_id = o.job_id)
    ) e) else i.payload::json end
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::boolean[], $5::bytea[], $6::text[])
  as i (job_id, run_lease, n, timed_out, digest, payload)
where w.job_id = i.job_id and w.run_lease = i.run_lease and w.n = i.n
