-- forget: delete what is past its retention and not partitioned. $1 seconds dead letters are kept, $2 at most so many.
with letters as (
  delete from posthaste.dead_letter
  where dead_letter.ctid = any (array(
    select d.ctid from posthaste.dead_letter d
    where d.dead_at < now() - $1::bigint * interval '1 second'
    order by d.dead_at
    limit $2))
),
keys as (
  delete from posthaste.request_key
  where request_key.ctid = any (array(
    select k.ctid from posthaste.request_key k where k.expires_at < now() order by k.expires_at limit $2))
)
-- A dispatcher that has been silent for an hour and holds nothing is history.
delete from posthaste.dispatcher d
where d.beat_at < now() - interval '1 hour'
  and not exists (select from posthaste.lease l where l.dispatcher_id = d.dispatcher_id)
