-- resume_endpoint: dispatch to an endpoint again. $1 name.
with resumed as (
  update posthaste.endpoint
  set paused_at = null,
      paused_reason = null,
      version = version + 1,
      updated_at = now()
  where namespace = 1 and name = $1
  returning name, spec::text as spec, secret, version, paused_at, paused_reason, created_at, updated_at
)
select r.*, pg_notify('posthaste_config', 'endpoint')::text
from resumed r
