-- delete_source: forget a source.
with deleted as (
  delete from posthaste.source
  where namespace = 1 and name = $1
  returning name
)
select name, pg_notify('posthaste_config', 'source')::text
from deleted
