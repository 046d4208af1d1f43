-- put_source: write a source, and read back what is there now. $1 name, $2 spec, $3 sealed secrets or null, $4 keep those that
-- are there. Without a row: it is new, and has none to keep.
with written as (
  insert into posthaste.source as s (name, spec, secret)
  select $1, $2::text::json, $3
  where not $4 or exists (select from posthaste.source o where o.namespace = 1 and o.name = $1)
  on conflict (namespace, name) do update
  set spec = excluded.spec, secret = case when $4 then s.secret else excluded.secret end, version = s.version + 1, updated_at = now()
  returning (xmax = 0) as created, name, spec, secret, version, created_at, updated_at
)
select created, name, spec::text as spec, secret, version, created_at, updated_at, pg_notify('posthaste_config', 'source')::text
from written
