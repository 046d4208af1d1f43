-- judging_due: kept deliveries whose turn it is, which no other gateway takes meanwhile. The next turn is after a tenth of
-- the age, 2 to 60 s. $1 at most so many.
with due as materialized (
  select b.inbox_id
  from posthaste.inbox b
  where b.judge_at <= now()
  order by b.judge_at
  limit $1
  for update skip locked
)
update posthaste.inbox b
set judge_at = now() + least(greatest((now() - b.received_at) / 10, interval '2 seconds'), interval '60 seconds')
-- An array: of a join, the planner was seen to read the whole inbox.
where b.inbox_id = any (array(select d.inbox_id from due d))
returning
  b.inbox_id, b.job_id, b.run_lease, b.lease_id, b.nonce, b.wait, b.via, b.digest, b.payload, b.headers::text as headers, b.error,
  b.verified, extract(epoch from b.received_at)::bigint as received_unix
