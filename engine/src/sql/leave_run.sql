-- leave run: a kept delivery whose run is over is one for whichever run its job has. $1 the delivery, $2 why it goes to
-- quarantine (null: it does not, and is judged when its turn comes). Its signature is to be verified by whoever takes it. Where
-- the same one is kept for the job already, that one is enough.
with same as (
  delete from posthaste.inbox b
  using posthaste.inbox o
  where b.inbox_id = $1 and o.inbox_id <> b.inbox_id and o.job_id = b.job_id and o.why = b.why and o.run_lease = 0
    and o.digest = b.digest and coalesce(o.wait, '') = coalesce(b.wait, '')
  returning b.inbox_id
)
update posthaste.inbox b
set run_lease = 0, lease_id = 0, nonce = '00000000-0000-0000-0000-000000000000', verified = false,
  error = coalesce($2, b.error), judge_at = case when $2 is null then b.judge_at end
where b.inbox_id = $1 and not exists (select from same)
