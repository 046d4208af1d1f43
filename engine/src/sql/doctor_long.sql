-- doctor long: what holds the vacuum horizon, longest first: transactions, prepared ones, replication slots.
-- `xids` is how many transactions began since; `seconds` is null for slots, which have no begin.
with holders as (
  select
    'transaction'::text as holder,
    coalesce(nullif(application_name, ''), usename, 'backend') || ' (pid ' || pid || ', ' || coalesce(state, 'unknown') || ')' as name,
    extract(epoch from now() - xact_start)::float8 as seconds,
    greatest(age(backend_xmin), age(backend_xid))::bigint as xids,
    state is not null as active
  from pg_stat_activity
  where pid <> pg_backend_pid()
    and (xact_start is not null or backend_xmin is not null)
    and backend_type <> 'walsender'
  union all
  select 'prepared', gid, extract(epoch from now() - prepared)::float8, age(transaction)::bigint, true
  from pg_prepared_xacts
  union all
  select 'slot', slot_name::text, null, greatest(age(xmin), age(catalog_xmin))::bigint, active
  from pg_replication_slots
  where xmin is not null or catalog_xmin is not null
)
select holder, name, seconds, coalesce(xids, 0) as xids, active
from holders
order by coalesce(seconds, 0) desc, xids desc
limit 20
