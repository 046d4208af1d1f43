-- list_api_keys: keys as stored, newest first.
select
  key_id,
  name,
  verifier,
  scopes,
  created_at,
  expires_at,
  revoked_at,
  revoked_at is null and coalesce(expires_at > now(), true) as active
from posthaste.api_key
order by created_at desc, key_id
limit 1000
