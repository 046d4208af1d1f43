-- forget inbox: deliveries that have been in quarantine long enough. $1 seconds, $2 at most so many. Early signals go with
-- their jobs, and what is to be judged when that has been done.
delete from posthaste.inbox
where inbox.inbox_id = any (array(
  select b.inbox_id from posthaste.inbox b
  where b.received_at < now() - $1::bigint * interval '1 second' and b.why = 'quarantined' and b.judge_at is null
  order by b.received_at
  limit $2))
