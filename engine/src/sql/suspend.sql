-- suspend: makes parked runs, whose rows this transaction holds, suspended ones: they are due at once, for a first look.
-- $1–$3 one element per run, at most one per job; $4–$13 one per wait of any of them; see engine/src/suspend.rs. Returns the
-- runs that were not suspended before.
with runs as (
  select unnest($1::bigint[]) as job_id, unnest($2::bigint[]) as run_lease, unnest($3::smallint[]) as need
),
waits as (
  select
    unnest($4::bigint[]) as job_id,
    unnest($5::smallint[]) as n,
    unnest($6::text[]) as awaits,
    unnest($7::text[]) as name,
    unnest($8::bigint[]) as timeout_ms,
    unnest($9::timestamptz[]) as until,
    unnest($10::text[]) as jobs,
    unnest($11::smallint[]) as need,
    unnest($12::text[]) as cel,
    unnest($13::text[]) as signature
),
suspended as (
  update posthaste.waiting w
  set need = r.need, deadline_at = now()
  from runs r
  where w.job_id = r.job_id and w.run_lease = r.run_lease and w.need is null
  returning w.job_id, w.run_lease
),
awaited as (
  insert into posthaste.wait (job_id, run_lease, deadline_at, n, need, awaits, name, jobs, cel, signature)
  select
    s.job_id, s.run_lease, coalesce(w.until, now() + w.timeout_ms * interval '1 millisecond'), w.n, w.need,
    w.awaits::posthaste.wait_for, w.name, w.jobs::bigint[], w.cel::json, w.signature::json
  from waits w
  join suspended s on s.job_id = w.job_id
)
select s.job_id from suspended s
