-- trim_deliveries: forgets the oldest deliveries, past seven days or beyond the last $1, but for those of which something is kept:
-- they are how that is found. At most $2 at a time.
delete from posthaste.delivery d
where d.delivery_id = any (array(
  select o.delivery_id
  from posthaste.delivery o
  where (o.at < now() - interval '7 days' or o.delivery_id <= (select max(n.delivery_id) - $1 from posthaste.delivery n))
    and not exists (select from posthaste.inbox b where b.inbox_id = o.inbox_id)
  order by o.delivery_id
  limit $2
))
