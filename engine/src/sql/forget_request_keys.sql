-- forget_request_keys: remove idempotency keys that have expired. $1 at most so many.
delete from posthaste.request_key
where ctid = any (array(
  select k.ctid
  from posthaste.request_key k
  where k.expires_at < now()
  order by k.expires_at
  limit $1
  for update skip locked))
