-- rotate_endpoint_secret: replace the sealed secrets. $1 name, $2 the version they were read at, $3 sealed secrets.
with rotated as (
  update posthaste.endpoint
  set secret = $3,
      version = version + 1,
      updated_at = now()
  where namespace = 1 and name = $1 and version = $2
  returning name, spec::text as spec, secret, version, paused_at, paused_reason, created_at, updated_at
)
select r.*, pg_notify('posthaste_config', 'endpoint')::text
from rotated r
