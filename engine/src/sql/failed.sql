-- failed: leaves a delivery in quarantine. $1 the delivery, $2 what is wrong with it, $3 the wait whose signature it has (null:
-- none asks for one). Where the same one is kept for that wait already, that one is enough.
with same as (
  delete from posthaste.inbox b
  using posthaste.inbox o
  where b.inbox_id = $1 and o.inbox_id <> b.inbox_id and o.job_id = b.job_id and o.why = b.why and o.run_lease = b.run_lease
    and o.digest = b.digest and coalesce(o.wait, '') = coalesce($3, '')
  returning b.inbox_id
)
update posthaste.inbox b
set judge_at = null, verified = true, error = $2, wait = $3
where b.inbox_id = $1 and not exists (select from same)
