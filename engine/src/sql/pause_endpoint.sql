-- pause_endpoint: stop dispatching to an endpoint. $1 name, $2 reason.
with paused as (
  update posthaste.endpoint
  set paused_at = coalesce(paused_at, now()),
      paused_reason = case when paused_at is null then $2 else paused_reason end,
      version = version + 1,
      updated_at = now()
  where namespace = 1 and name = $1
  returning name, spec::text as spec, secret, version, paused_at, paused_reason, created_at, updated_at
)
select p.*, pg_notify('posthaste_config', 'endpoint')::text
from paused p
