-- wake: what runs that were woken waited for becomes what the next run of each job is told. $1 jobs, $2 runs, $3 the
-- numbers of the waits that woke them, $4 whether they timed out; sorted by job. One wait brings its payload; of several,
-- what came for each, by name. What met them is remembered: whoever sends it again is told so.
with gone as (
  delete from posthaste.wait w
  using unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::boolean[]) as i (job_id, run_lease, n, timed_out)
  where w.job_id = i.job_id and w.run_lease = i.run_lease
  returning w.job_id, w.run_lease, w.digest, i.timed_out, w.n = i.n as woke, w.n, w.name, w.met_at, w.payload
)
insert into posthaste.continuation as c (job_id, resumes, resume_timed_out, resume_name, resume_payload, heard)
select
  g.job_id, 1, bool_or(g.timed_out), max(g.name) filter (where g.woke),
  case when count(*) = 1 then max(g.payload::text)
    else '{' || coalesce(string_agg(to_json(g.name)::text || ':' || coalesce(g.payload::text, 'null'), ',' order by g.n)
      filter (where g.met_at is not null), '') || '}' end::json,
  array_agg(int8send(g.run_lease) || g.digest order by g.n) filter (where g.digest is not null)
from gone g
group by g.job_id
order by g.job_id
on conflict (job_id) do update
set resumes = c.resumes + 1, resume_timed_out = excluded.resume_timed_out, resume_name = excluded.resume_name,
  resume_payload = excluded.resume_payload,
  heard = (
    select array_agg(l.heard order by l.at)
    from (
      select u.heard, u.at from unnest(c.heard || excluded.heard) with ordinality as u (heard, at)
      order by u.at desc limit 64) l)
