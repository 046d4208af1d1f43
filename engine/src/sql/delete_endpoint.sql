-- delete_endpoint: forget an endpoint and the kinds it takes; its jobs stay where they are.
with deleted as (
  delete from posthaste.endpoint
  where namespace = 1 and name = $1
  returning name
)
select name, pg_notify('posthaste_config', 'endpoint')::text
from deleted
