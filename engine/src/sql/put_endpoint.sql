-- put_endpoint: write an endpoint and its kinds, and read back what is there now.
-- $1 name, $2 spec, $3 kinds, $4 sealed secrets or null (keep), $5 those of a new endpoint.
select created, name, spec::text as spec, secret, version, paused_at, paused_reason, created_at, updated_at
from posthaste.put_endpoint_v1($1, $2::text::json, $3, $4, $5)
