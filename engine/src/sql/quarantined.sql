-- quarantined: deliveries that no expression could judge, newest first. $1 this one (null: all), $2 of this job (null: all),
-- $3 before this one (null: from the newest), $4 at most so many.
select b.inbox_id, b.job_id, b.run_lease, b.lease_id, b.received_at, b.nonce, b.via, b.wait, b.digest, b.payload,
  b.headers::text as headers, b.error
from posthaste.inbox b
where b.why = 'quarantined' and ($1::bigint is null or b.inbox_id = $1) and ($2::bigint is null or b.job_id = $2)
  and ($3::bigint is null or b.inbox_id < $3)
order by b.inbox_id desc
limit $4
